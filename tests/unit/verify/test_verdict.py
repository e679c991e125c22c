"""Pass, fail or inconclusive: expected answers by hand from order statistics."""

import random

import pytest

from shardwright.model.errors import ExitCode
from shardwright.model.measured import Distribution, Measured, Sample, Window
from shardwright.model.request import Slo
from shardwright.verify.confidence import lower_bound, requests_needed, upper_bound
from shardwright.verify.verdict import Outcome, judge
from shardwright.verify.words import verdict_text


def run(ttfts, itl=0.01, failed=0, **more):
    samples = tuple(
        Sample(start_s=i, ttft_s=t, itl_s=itl, latency_s=1, input_tokens=9, output_tokens=10)
        for i, t in enumerate(ttfts)
    )
    ordered = sorted(ttfts)
    summary = Distribution(
        count=len(ttfts),
        mean=sum(ttfts) / len(ttfts),
        percentiles=((50.0, ordered[len(ttfts) // 2]), (95.0, ordered[int(len(ttfts) * 0.95)])),
    )
    flat = Distribution(count=len(ttfts), mean=itl, percentiles=((95.0, itl),))
    values = {
        "tool": "t", "tool_version": None, "model": None, "num_completed": len(ttfts),
        "num_failed": failed, "duration_s": 10.0, "output_tokens": 10 * len(ttfts),
        "ttft": summary, "itl": flat, "samples": samples,
    }  # fmt: skip
    return Measured(**(values | more))


def test_the_numbers_of_requests_that_bound_a_percentile():
    # 0.95^59 = 0.0485 < 0.05 < 0.95^58; 0.99^299 < 0.05; 0.5^5 = 0.031 < 0.05 < 0.5^4
    assert [requests_needed(p) for p in (50, 95, 99)] == [5, 59, 299]


def test_bounds_of_a_median_are_those_of_the_sign_test():
    values = [float(i) for i in range(1, 11)]
    # P(X <= 7) = 0.945 and P(X <= 8) = 0.989 for binomial(10, 1/2): the 9th value, and the 2nd
    assert upper_bound(values, 50) == 9.0
    assert lower_bound(values, 50) == 2.0


def test_bounds_hold_as_often_as_they_claim():
    chance = random.Random(1)
    held = 0
    for _ in range(400):
        sample = [chance.expovariate(1) for _ in range(200)]
        held += upper_bound(sample, 90) >= 2.302585  # the true 90th percentile of Exp(1)
    assert held / 400 >= 0.93


@pytest.mark.parametrize(
    ("ttfts", "outcome"),
    [
        ([0.1] * 100, Outcome.PASS),
        ([0.9] * 100, Outcome.FAIL),
        ([0.1] * 58, Outcome.INCONCLUSIVE),  # one request too few for a p95
        ([0.1] * 59, Outcome.PASS),
        ([0.1] * 95 + [0.9] * 5, Outcome.INCONCLUSIVE),  # the objective is within the bounds
        ([0.9] * 20 + [0.1] * 10, Outcome.FAIL),  # few requests, but clearly over
    ],
)
def test_outcome_against_500_ms(ttfts, outcome):
    verdict = judge(run(ttfts), Slo(ttft_s=0.5))
    assert verdict.outcome is outcome


def test_few_requests_that_are_surely_over_say_by_how_much_at_least():
    measured = run([0.9] * 20 + [0.1] * 10)
    verdict = judge(measured, Slo(ttft_s=0.5))
    assert verdict.terms[0].high_s is None
    assert "MISS" in verdict_text(measured, verdict)
    assert "(at least 900 ms)" in verdict_text(measured, verdict)
    measured = run([0.1] * 30)  # too few for an upper bound, and what is below helps nobody
    assert "at least" not in verdict_text(measured, judge(measured, Slo(ttft_s=0.5)))


def test_exit_codes():
    assert [o.exit_code for o in Outcome] == [
        ExitCode.DONE,
        ExitCode.VERDICT_NO,
        ExitCode.INCONCLUSIVE,
    ]


def test_failed_requests_fail_the_run_whatever_the_latency():
    assert judge(run([0.1] * 98, failed=2), Slo(ttft_s=0.5)).outcome is Outcome.FAIL
    assert judge(run([0.1] * 199, failed=1), Slo(ttft_s=0.5)).outcome is Outcome.PASS


def test_goodput_counts_requests_that_meet_every_objective():
    verdict = judge(run([0.1] * 75 + [0.9] * 25), Slo(ttft_s=0.5, itl_s=0.02))
    assert verdict.goodput_share == 0.75
    assert verdict.goodput_per_s == 7.5  # 75 in 10 s
    assert judge(run([0.1] * 100), Slo(itl_s=0.001)).goodput_share == 0.0


def test_goodput_of_a_steady_state_is_a_share_of_all_requests_sent():
    # 80 of 160 answered requests count and half of those are good; 40 of 200 sent have failed
    window = Window(start_s=1.0, end_s=11.0, num_left_out=80)
    verdict = judge(run([0.1] * 40 + [0.9] * 40, failed=40, window=window), Slo(ttft_s=0.5))
    assert verdict.goodput_share == pytest.approx(0.5 * 160 / 200)


def test_tokens_and_cost():
    verdict = judge(run([0.1] * 100), Slo(), num_gpus=4, usd_per_hour=36.0)
    assert verdict.output_tokens_per_s == 100.0  # 1,000 tokens in 10 s
    assert verdict.output_tokens_per_s_per_gpu == 25.0
    # 0.01 USD a second for 100 tokens: 100 USD per million
    assert verdict.usd_per_million_output_tokens == pytest.approx(100.0)


def test_a_client_that_could_not_send_is_inconclusive_not_a_pass():
    starved = run([0.1] * 100, concurrency=8, effective_concurrency=4.0)
    assert judge(starved, Slo(ttft_s=0.5)).outcome is Outcome.INCONCLUSIVE
    late = run([0.1] * 100, send_delay_s=0.05)
    assert judge(late, Slo(ttft_s=0.5)).outcome is Outcome.INCONCLUSIVE
    # a short run never fills its concurrency at the ends, which says nothing
    short = run([0.1] * 60, concurrency=32, effective_concurrency=16.0)
    assert judge(short, Slo(ttft_s=0.5)).outcome is Outcome.PASS


def test_a_summary_without_records_is_judged_by_itself_and_says_so():
    verdict = judge(run([0.1] * 100, samples=()), Slo(ttft_s=0.5))
    assert verdict.outcome is Outcome.PASS
    assert verdict.reasons == ("ttft: by the summary alone",)


def test_nothing_completed_is_a_fail():
    empty = run([0.1], num_completed=0, samples=(), ttft=None, itl=None, failed=5)
    assert judge(empty, Slo(ttft_s=0.5)).outcome is Outcome.FAIL


@pytest.mark.parametrize(("failed", "outcome"), [(1, Outcome.PASS), (2, Outcome.FAIL)])
def test_more_than_one_request_in_a_hundred_may_not_fail(failed, outcome):
    measured = run([0.1] * (100 - failed), failed=failed)
    assert judge(measured, Slo(ttft_s=0.5)).outcome is outcome
