"""The steady state and runs together: figures by hand, and recomputed from AIPerf's own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shardwright.model.measured import Measured, Sample
from shardwright.model.request import Slo
from shardwright.verify.readers import read_result
from shardwright.verify.repeats import interval, pooled
from shardwright.verify.steady import steady, window_of
from shardwright.verify.verdict import Outcome, judge

DATA = Path(__file__).parents[2] / "data" / "bench"


def sample(start, latency, ttft=0.1, tokens=11):
    itl = (latency - ttft) / (tokens - 1)
    return Sample(
        start_s=start, ttft_s=ttft, itl_s=itl, latency_s=latency, input_tokens=5,
        output_tokens=tokens,
    )  # fmt: skip


def load(samples, **more):
    values = {
        "tool": "t", "tool_version": None, "model": None, "num_completed": len(samples),
        "num_failed": 0, "duration_s": 100.0,
        "output_tokens": sum(s.output_tokens for s in samples),
        "concurrency": 2, "samples": tuple(samples),
    }  # fmt: skip
    return Measured(**(values | more))


def test_the_window_opens_when_the_first_burst_is_answered_and_shuts_at_the_last_request():
    # two places: the burst ends at 1.5 s, the last request is sent at 4 s
    samples = [
        sample(0, 1),
        sample(0, 1.5),
        sample(1, 1),
        sample(1.5, 1),
        sample(2, 1),
        sample(4, 1),
    ]
    assert window_of(samples, 2) == (1.5, 4)
    found = steady(load(samples), 95, needed=3)
    assert [s.start_s for s in found.samples] == [1.5, 2, 4]
    assert (found.num_completed, found.duration_s) == (3, 2.5)
    assert found.window.num_left_out == 3
    assert found.error_rate == 0


def test_tokens_of_the_window_are_those_that_came_out_in_it():
    # the second burst request ends at 2 s; of the request from 1 s, 11 tokens: one at 1.1 s, then
    # ten evenly until 3.1 s; half of its ten lie in 2.1 .. 3.1
    samples = [sample(0, 1), sample(0, 2.1), sample(1, 2.1), sample(2.5, 0.6)]
    found = steady(load(samples), 95, needed=1)
    assert found.window.start_s == 2.1
    assert found.window.end_s == 2.5
    # from 2.1 to 2.5: a fifth of the ten tokens, 2; the last request's first comes at 2.6
    assert found.output_tokens == 2


def test_tokens_that_a_busy_client_read_at_one_instant_count():
    # from the burst's answer at 1.5 s to 4 s: five of one instant, at 2 s, and six of the last but
    # one, whose first comes at 3.5 s and whose ten others would come evenly until 4.5 s
    at_once = replace(sample(1.5, 0.5, tokens=5), ttft_s=0.5)
    samples = [sample(0, 1), sample(0, 1.5), at_once, sample(3, 1.5, ttft=0.5), sample(4, 1)]
    found = steady(load(samples), 95, needed=1)
    assert (found.window.start_s, found.window.end_s) == (1.5, 4)
    assert found.output_tokens == 5 + 1 + 5


def test_a_run_too_short_for_a_steady_state_is_left_whole():
    whole = load([sample(0, 1), sample(0, 1), sample(1, 1)])
    assert steady(whole, 95, needed=59) is whole
    assert steady(load([]), 95, needed=1).window is None
    assert steady(whole, 95) is whole  # 0.95^59 < 0.05: a p95 needs 59


def test_the_window_is_told_from_the_first_request_sent_whatever_the_order_of_records():
    # records come in the order of answers: the one sent first may be the last to be answered
    samples = [sample(1, 1), sample(0, 1.5), sample(2, 1), sample(4, 1)]
    window = steady(load(samples), 95, needed=1).window
    assert (window.start_s, window.end_s) == (2, 4)  # the burst is those of 0 s and 1 s


def test_arrivals_at_a_rate_are_steady_once_the_longest_time_in_flight_has_passed():
    samples = [sample(i / 2, 0.9) for i in range(9)] + [sample(4.5, 3.2)]
    found = steady(load(samples, concurrency=None, requests_per_s=2.0), 95, needed=1)
    # from 0 + 3.2 s to the last arrival at 4.5 s: those of 3.5, 4 and 4.5 s
    assert [s.start_s for s in found.samples] == [3.5, 4.0, 4.5]
    assert found.duration_s == pytest.approx(1.3)


def test_a_trace_has_its_own_instants_and_is_left_whole():
    whole = load([sample(i, 1) for i in range(100)], concurrency=None)
    assert steady(whole, 95) is whole


def test_runs_together_tell_how_long_their_windows_are_and_not_those_of_the_first():
    def run(until):
        return steady(load([sample(i, 1) for i in range(until)]), 95, needed=1)

    # two places, answered at 1 s and 2 s: from 2 s to the last request, 9 - 2 and 29 - 2 s
    runs = (run(10), run(30))
    assert [(r.window.start_s, r.window.end_s) for r in runs] == [(2, 9), (2, 29)]
    window = pooled(runs, 95).window
    assert (window.num_runs, window.end_s - window.start_s) == (2, 34)
    assert window.num_left_out == 2 + 2


def test_the_rate_of_runs_together_is_of_all_their_time():
    # 10 and 30 answers of 11 tokens, in 5 and 20 s, one run after the other
    runs = (
        load([sample(i, 1) for i in range(10)], duration_s=5.0),
        load([sample(i, 1) for i in range(30)], duration_s=20.0, num_failed=3),
    )
    together = pooled(runs, 95)
    assert together.output_tokens_per_s == pytest.approx((110 + 330) / (5 + 20))
    assert (together.num_completed, together.num_failed) == (40, 3)


def test_the_interval_of_a_mean_is_students():
    # t(2, 0.975) = 4.303; s = 1, n = 3: 10 +- 4.303 / sqrt(3)
    found = interval([9.0, 10.0, 11.0])
    assert found.low == pytest.approx(10 - 2.4843, abs=1e-3)
    assert interval([1.0]) is None


def test_runs_that_differ_more_than_requests_do_are_inconclusive():
    fast = load([sample(i, 1, ttft=0.1) for i in range(100)])
    slow = load([sample(i, 1, ttft=0.19) for i in range(100)])
    fast, slow = (pooled((run,), 95) for run in (fast, slow))
    runs = tuple(steady(run, 95) for run in (fast, slow))
    # p95 of the two runs: 0.1 and 0.19 s; the mean's interval is far wider than 0.2 allows
    verdict = judge(runs, Slo(ttft_s=0.2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the 2 runs differ" in verdict.reasons[0]
    same = judge((runs[0], runs[0], runs[0]), Slo(ttft_s=0.2))
    assert same.outcome is Outcome.PASS
    assert same.terms[0].between_runs.num_runs == 3


@pytest.mark.parametrize("folder", sorted(DATA.glob("aiperf-*")), ids=lambda p: p.name)
def test_percentiles_recomputed_from_single_requests_are_aiperfs_own(folder):
    text = (folder / "profile_export_aiperf.json").read_text()
    records = (folder / "profile_export.jsonl").read_text()
    measured = read_result(text, "profile_export_aiperf.json", records)
    summary = json.loads(text)
    again = pooled((measured, measured), 95)  # the same requests twice: the same distribution
    for name, key in (("ttft", "time_to_first_token"), ("latency", "request_latency")):
        if summary.get(key):
            mine = getattr(again, name)
            assert mine.mean * 1e3 == pytest.approx(summary[key]["avg"], rel=1e-6)
            # doubling a sample moves an interpolated percentile by less than a gap between values
            assert mine.at(50) * 1e3 == pytest.approx(summary[key]["p50"], rel=0.05)
    assert again.num_completed == 2 * measured.num_completed
