"""A share of requests that must meet every objective: expected answers from the binomial."""

from dataclasses import replace

import pytest
from tests.unit.verify.test_verdict import run

from shardwright.model.measured import Distribution
from shardwright.model.request import Slo
from shardwright.verify.confidence import is_share_above
from shardwright.verify.verdict import Outcome, judge
from shardwright.verify.words import verdict_text


@pytest.mark.parametrize(
    ("good", "total", "found"),
    [
        # 0.9^28 = 0.052, 0.9^29 = 0.047: so many good ones, and no other, show nine in ten
        (28, 28, None),
        (29, 29, True),
        # P(X <= 0) = 0.1^n: one bad request of a nine-in-ten server is no surprise, two are (0.01)
        (0, 1, None),
        (0, 2, False),
        # of 100: P(X <= 84) = 0.040 and P(X <= 85) = 0.073; P(X >= 95) = 0.058, P(X >= 96) = 0.024
        (84, 100, False),
        (85, 100, None),
        (95, 100, None),
        (96, 100, True),
    ],
)
def test_a_share_of_nine_in_ten_is_shown_denied_or_open(good, total, found):
    assert is_share_above(0.9, good, total) is found


@pytest.mark.parametrize(
    ("good", "outcome"), [(96, Outcome.PASS), (90, Outcome.INCONCLUSIVE), (84, Outcome.FAIL)]
)
def test_outcome_of_a_goodput_of_nine_in_ten(good, outcome):
    measured = run([0.1] * good + [0.9] * (100 - good))
    # the median meets its objective in any case: only the goodput decides
    verdict = judge(measured, Slo(ttft_s=0.5, percentile=50, goodput=0.9))
    assert verdict.terms[0].outcome is Outcome.PASS
    assert (verdict.goodput_outcome, verdict.outcome) == (outcome, outcome)
    assert bool(verdict.reasons) == (outcome is not Outcome.PASS)
    mark = {Outcome.PASS: "ok  ", Outcome.INCONCLUSIVE: "?   ", Outcome.FAIL: "MISS"}[outcome]
    line = f"{good}.0% of requests met every objective, {good / 10:.2f}/s  {mark} objective 90%"
    assert line in verdict_text(measured, verdict)


def test_two_objectives_that_are_each_met_can_miss_a_goodput_together():
    # of 100, 5 are late at first and 5 others are slow between: 95 meet each, 90 meet both
    late = run([0.9] * 5 + [0.1] * 95)
    samples = tuple(
        replace(sample, itl_s=0.03) if i >= 95 else sample for i, sample in enumerate(late.samples)
    )
    verdict = judge(replace(late, samples=samples), Slo(ttft_s=0.5, itl_s=0.02, goodput=0.96))
    assert verdict.goodput_share == 0.9
    assert verdict.goodput_outcome is Outcome.FAIL  # P(X <= 90) is 0.007 at 0.96


def test_failed_requests_are_requests_that_met_nothing():
    # 100 good of 101 sent show nine in ten; of 120 sent, 20 failed: 0.83, and the run fails anyway
    slo = Slo(ttft_s=0.5, percentile=50, goodput=0.9)
    assert judge(run([0.1] * 100, failed=1), slo).goodput_outcome is Outcome.PASS
    assert judge(run([0.1] * 100, failed=20), slo).goodput_outcome is Outcome.FAIL


def test_runs_that_differ_cannot_tell_what_their_sum_would():
    # 300 of 300 and 240 of 300: 0.9 of all; t for one degree is 12.7, so the mean may be anywhere
    slo = Slo(ttft_s=0.5, percentile=50, goodput=0.85)
    runs = (run([0.1] * 300), run([0.1] * 240 + [0.9] * 60))
    verdict = judge(runs, slo)
    assert verdict.goodput_outcome is Outcome.INCONCLUSIVE
    assert "the 2 runs differ" in verdict.reasons[-1]


def test_a_summary_alone_knows_no_goodput():
    flat = Distribution(count=100, mean=0.1, percentiles=((50.0, 0.1),))
    measured = run([0.1] * 100, samples=(), ttft=flat)
    verdict = judge(measured, Slo(ttft_s=0.5, percentile=50, goodput=0.9))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "goodput: single requests are not known" in verdict.reasons
