"""The margin a TPOT limit is held with."""

import pytest

from shardwright.model.request import Slo
from shardwright.planner.margin import margin_of, tightened


def test_a_pair_without_rows_is_held_with_more_margin():
    known, new = margin_of("H200-SXM", "vllm"), margin_of("A100-80GB-SXM", "vllm")
    assert 1 <= known < new < 1.2


def test_the_least_known_pair_decides():
    new = margin_of("A100-80GB-SXM", "vllm")
    found = tightened(Slo(itl_s=0.1), [("H200-SXM", "vllm"), ("A100-80GB-SXM", "vllm")])
    assert found.itl_s == pytest.approx(0.1 / new)


def test_limits_that_are_not_set_stay_so_and_ttft_is_left_alone():
    slo = Slo(ttft_s=2.0)
    assert tightened(slo, [("H200-SXM", "vllm")]) == slo
