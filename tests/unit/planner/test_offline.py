"""Offline runs of TensorRT-LLM: as many requests, and the limits, that the published ones had."""

from dataclasses import replace

import pytest

from shardwright.planner.latency import predict
from shardwright.planner.load import load_of
from shardwright.planner.point import STEADY, Point
from shardwright.planner.scheduling import scheduling_of, tuned

POINT = Point(
    id="", model="meta-llama/Llama-3.1-8B", dtype="fp8", gpu="H100-SXM", engine="trtllm",
    isl=1000, osl=2000, concurrency=None,
)  # fmt: skip


def sched_of(point):
    return scheduling_of(point, "trtllm", "H100-SXM", "hopper")


@pytest.mark.parametrize(
    ("isl", "osl", "fit", "stages", "batch", "tokens"),
    [
        # 452 / 2 = 226 requests, to the next 32: 256; 226 x (1 + 128 / 2048) = 240, least 2048
        (128, 2048, 452, 2, 256, 2048),
        # 5000 capped at 4096; 4096 x 2 = 8192 tokens
        (128, 128, 5000, 1, 4096, 8192),
        # 300 to the next 128: 384; 300 x 17 = 5100 tokens, to the next 512: 5120
        (2048, 128, 300, 1, 384, 5120),
    ],
)
def test_limits_are_those_trtllm_bench_sets(isl, osl, fit, stages, batch, tokens):
    point = replace(POINT, isl=isl, osl=osl, pipeline_parallel=stages)
    found = tuned(sched_of(point), point, fit)
    assert (found.max_num_seqs, found.token_budget) == (batch, tokens)


def test_what_the_user_sets_is_kept():
    point = replace(POINT, max_num_seqs=17, max_num_batched_tokens=999)
    found = tuned(sched_of(point), point, 300)
    assert (found.max_num_seqs, found.token_budget) == (17, 999)


def test_a_published_run_ends():
    load = load_of(POINT, sched_of(POINT), 400)
    assert len(load.prompts) == 1500
    assert set(load.prompts) == {1000.0}
    assert set(load.outputs) == {2000.0}


@pytest.mark.parametrize("change", [{"osl": 2001}, {"window": STEADY}, {"concurrency": 8}])
def test_any_other_run_is_not_given_an_end(change):
    assert sched_of(replace(POINT, **change)).run_requests == 0


def test_a_last_wave_that_is_not_full_costs_throughput():
    short = predict(replace(POINT, max_num_seqs=340)).output_tokens_per_s
    endless = predict(replace(POINT, max_num_seqs=340, osl=2001)).output_tokens_per_s
    # 1,500 = 4 x 340 + 140: were steps of 140 as slow as steps of 340, 4.41 of 5 waves (0.88);
    # were they as quick as their share, 1
    assert 0.88 < short / endless < 0.99
