"""The requests of a load: lengths as a campaign had them, and hits in the prefix cache."""

from dataclasses import replace

import pytest

from shardwright.planner.latency import predict
from shardwright.planner.load import load_of
from shardwright.planner.point import SERVICE, STEADY, Point
from shardwright.planner.scheduling import scheduling_of

POINT = Point(
    id="", model="Qwen/Qwen3-32B", dtype="bf16", gpu="H100-SXM", engine="sglang",
    isl=1024, osl=128, isl_mean=921.6, osl_mean=115.2, concurrency=4,
)  # fmt: skip


def lengths(point):
    load = load_of(point, scheduling_of(point, "sglang", "H100-SXM", "hopper"), 4)
    return load.prompts, load.outputs


def test_lengths_spread_up_to_the_nominal_one_around_the_given_mean():
    prompts, outputs = lengths(POINT)
    # 2 x 921.6 - 1024 = 819.2 and 2 x 115.2 - 128 = 102.4
    assert 819 <= min(prompts) < max(prompts) <= 1024
    assert 102 <= min(outputs) < max(outputs) <= 128


def test_requests_of_a_campaign_with_equal_lengths_all_have_the_mean():
    prompts, outputs = lengths(replace(POINT, engine_version="0.5.1.post1"))
    assert (set(prompts), set(outputs)) == ({921.0}, {115.0})
    assert len(prompts) == 80  # 20 a slot


def test_what_the_prefix_cache_holds_is_not_computed():
    prompts, _ = lengths(replace(POINT, engine_version="0.5.1.post1", prefix_hit_rate=0.5))
    assert prompts == pytest.approx([460.5] * 80)


def test_users_of_a_service_start_anywhere_in_their_answers():
    load = load_of(
        replace(POINT, window=SERVICE, isl_mean=None, osl_mean=None),
        scheduling_of(POINT, "sglang", "H100-SXM", "hopper"),
        4,
    )
    assert len(load.prompts) == 416  # three of each slot, 400 that count, and a last of each
    assert (load.first, load.last) == (12, 412)
    assert len(set(load.behind)) == 4
    assert all(0 <= behind < 141 for behind in load.behind)
    # a tenth around 128
    assert 115 <= min(load.outputs) < max(load.outputs) <= 141


def test_a_user_who_comes_while_another_prompt_is_computed_waits_for_it():
    point = replace(POINT, engine="vllm", concurrency=16, isl_mean=None, osl_mean=None)
    alone = predict(replace(point, window=STEADY))
    mixed = predict(replace(point, window=SERVICE))
    assert alone.ttft_tail_s < 1.02 * alone.ttft_s
    assert mixed.ttft_tail_s > 1.2 * mixed.ttft_s
