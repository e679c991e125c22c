"""Scenario, search, sweep, comparison: with a load tool that answers as a known server."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.bench.known_server import BY_SLO, TARGET, KnownServer, scenario

from shardwright.bench.compare import baseline_of, compare, summary
from shardwright.bench.report import Bench, conclusion
from shardwright.bench.run import Bounds, measure, sweep, swept
from shardwright.bench.search import highest_pass, next_concurrency
from shardwright.model.errors import ShardwrightError
from shardwright.verify.verdict import Outcome


class Clock:
    """Time that passes by so much with each look."""

    def __init__(self, step_s=0.0):
        self.at, self.step_s = -step_s, step_s

    def now(self):
        self.at += self.step_s
        return self.at

    def sleep(self, duration_s):
        raise AssertionError("nothing waits here")


def test_a_sweep_finds_the_load_the_server_can_carry():
    server = KnownServer()
    found = sweep(server, scenario(), TARGET, BY_SLO, Clock())
    # 2 ms x 25 = 50 ms is just within; the search stops when neighbours are within 10 %
    assert 23 <= found.best <= 25
    assert len(server.asked) == len(set(server.asked))
    assert [r.scenario.concurrency for r in found.runs] == sorted(server.asked)


def test_a_sweep_goes_down_when_the_start_is_too_much():
    found = sweep(KnownServer(), scenario(200), TARGET, BY_SLO, Clock())
    assert 23 <= found.best <= 25


def test_a_sweep_ends_at_its_bounds_and_says_when_time_was_the_reason():
    few = Bounds(concurrency=12)
    found = sweep(KnownServer(), scenario(), TARGET, BY_SLO, Clock(), few)
    assert ([r.scenario.concurrency for r in found.runs], found.best) == ([8, 12], 12)
    assert not found.is_cut
    # each look at the clock is 10 s later: the third load would begin at 20 s
    short = sweep(KnownServer(), scenario(), TARGET, BY_SLO, Clock(10), Bounds(seconds=15))
    assert [r.scenario.concurrency for r in short.runs] == [8, 16]
    assert (short.best, short.is_cut) == (16, True)


def test_loads_that_are_measured_in_turn_are_told_like_a_sweep():
    def runs(*loads):
        return [measure(KnownServer(), scenario(n), TARGET, "a", BY_SLO) for n in loads]

    some = swept(runs(8, 1, 50))  # 50 ms are 25 at once
    assert ([r.scenario.concurrency for r in some.runs], some.best) == ([1, 8, 50], 8)
    assert some.outcome is Outcome.PASS
    none = swept(runs(30, 50))
    page = Bench(name="x", runs=none.runs, outcome=none.outcome, is_sweep=True, best=none.best)
    assert none.outcome is Outcome.FAIL
    assert conclusion(page) == (
        "No load was shown to meet the objective; at concurrency 30, the lowest tried, time "
        "between tokens is 60.0 ms at p95, 20 % over 50 ms."
    )


@given(limit=st.integers(1, 500), start=st.integers(1, 500))
def test_the_search_ends_and_never_promises_what_was_not_shown(limit, start):
    seen = {}
    while (load := next_concurrency(seen, start=start, limit=1024)) is not None:
        assert load not in seen
        seen[load] = Outcome.PASS if load <= limit else Outcome.FAIL
    assert len(seen) <= 12
    best = highest_pass(seen)
    assert best is None or best <= limit
    if start <= limit:
        assert best >= math.floor(limit / 1.1) - 1 or len(seen) == 12


def test_regressions_beyond_what_is_allowed():
    before = measure(KnownServer(), scenario(10), TARGET, "a", BY_SLO).measured
    after = measure(KnownServer(), scenario(11), TARGET, "b", BY_SLO).measured
    changes = {c.name: c for c in compare(summary(before), after, 0.05)}
    itl = changes["mean time between tokens, s"]
    assert itl.worse == pytest.approx(0.1)  # 20 ms to 22 ms
    assert itl.is_regression
    assert not changes["mean time to first token, s"].is_regression
    assert not any(c.is_regression for c in compare(summary(before), after, 0.11))
    better = {c.name: c for c in compare(summary(after), before, 0.05)}
    assert better["mean time between tokens, s"].worse < 0


def test_a_result_of_ours_is_a_baseline():
    document = {
        "apiVersion": "shardwright.dev/bench/v1alpha1", "best": 4,
        "runs": [
            {"scenario": {"concurrency": n}, "verdict": {
                "output_tokens_per_s": 10.0 * n,
                "terms": [{"name": "ttft", "mean_s": 0.1 * n}, {"name": "itl", "mean_s": None}]}}
            for n in (2, 4)
        ],
    }  # fmt: skip
    found = baseline_of(json.dumps(document), "result.json", None, 95)
    assert (found.ttft_s, found.itl_s, found.output_tokens_per_s) == (0.4, None, 40.0)


@pytest.mark.parametrize(
    "text",
    ['{"apiVersion": "shardwright.dev/bench/v1alpha1"}',
     '{"apiVersion": "shardwright.dev/bench/v1alpha1", "runs": []}',
     '{"apiVersion": "shardwright.dev/bench/v1alpha1", "runs": [{"verdict": 3}]}',
     "[" * 100_000, "", "{"],
)  # fmt: skip
def test_a_damaged_baseline_is_a_users_error(text):
    with pytest.raises(ShardwrightError) as caught:
        baseline_of(text, "last/result.json", None, 95)
    assert "last/result.json" in caught.value.what
