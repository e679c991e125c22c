"""The requests of a load: lengths as a campaign had them, and hits in the prefix cache."""

from dataclasses import replace

import pytest

from shardwright.planner.load import load_of
from shardwright.planner.point import Point
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
