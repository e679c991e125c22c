"""The closed form against sums done by hand, and against the replay it stands in for."""

import math

import numpy as np
import pytest

from shardwright.planner.analytic import (
    decode_step_s,
    estimate,
    held_up,
    max_requests_per_s,
    prefill_s,
)
from shardwright.planner.steptime import GRID, StepTable

# a millisecond per step and a microsecond per token
TABLE = StepTable(
    tokens=1e-3 + 1e-6 * GRID, head=0 * GRID, kv_s=1e-9, pair_s=0.0, seq_s=0.0, gap_s=5e-4,
    prefill_floor_s=0.0, prefill_gap_s=0.0,
)  # fmt: skip


def test_a_decode_step_is_fixed_cost_tokens_and_cache():
    step = decode_step_s(TABLE, np.array([100.0]), 1000.0)[0]
    assert step == pytest.approx(1e-3 + 1e-4 + 1e-4 + 5e-4)


def test_prompts_share_the_fixed_cost_of_a_step():
    # eight prompts of 1000 tokens to a step of 8000: an eighth of a millisecond each
    assert prefill_s(TABLE, 1000, 8192) == pytest.approx(1e-3 / 8 + 1e-3)


def test_throughput_is_bounded_by_what_can_be_sustained():
    found = estimate(TABLE, [1, 10, 100, 1000], 1000, 100, 8192)
    assert np.all(np.diff(found.requests_per_s) > 0)
    assert found.requests_per_s[-1] <= max_requests_per_s(TABLE, 1000, 100, 8192, 1000) * 1.01


def test_latency_grows_with_load():
    found = estimate(TABLE, [1, 8, 64], 1000, 100, 8192)
    assert np.all(np.diff(found.tpot_s) > 0)
    assert np.all(np.diff(found.ttft_s) > 0)


def test_prompts_hold_up_all_batches_of_a_pipeline_as_a_poisson_sum_says():
    # mean of ceil(K / PP) with K Poisson about PP x, summed by hand
    def mean(x, stages):
        m = stages * x
        terms = [math.exp(-m) * m**k / math.factorial(k) * -(-k // stages) for k in range(100)]
        return sum(terms)

    for x, stages in [(0.01, 2), (0.25, 2), (1.0, 2), (0.05, 8), (2.0, 4)]:
        found = float(held_up(np.array([x]), stages)[0])
        assert found == pytest.approx(mean(x, stages), rel=0.15)


def test_one_stage_is_held_up_by_its_own_prompts_alone():
    assert held_up(np.array([0.3, 3.0]), 1) == pytest.approx([0.3, 3.0])
