"""Scenario, search, sweep, comparison, report: with a load tool that answers as a known server."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardwright.bench.aiperf import API_KEY_VARIABLE, Target, aiperf_config
from shardwright.bench.compare import baseline_of, compare, summary
from shardwright.bench.curve import Curve, Point, draw_curve
from shardwright.bench.junit import junit
from shardwright.bench.page import html
from shardwright.bench.report import Bench, conclusion, markdown
from shardwright.bench.run import Bounds, Method, ResultFiles, measure, sweep, swept
from shardwright.bench.scenario import Scenario, replayed, scenario_for
from shardwright.bench.search import highest_pass, next_concurrency
from shardwright.bench.server import read_server_metrics, read_server_side
from shardwright.bench.telemetry import read_gpu_use
from shardwright.model.request import Slo, Workload
from shardwright.verify.verdict import Outcome, judge

DATA = Path(__file__).parents[2] / "data" / "bench"
TARGET = Target(url="http://127.0.0.1:1", model="m", tokenizer="/t")
SLO = Slo(itl_s=0.050)


@dataclass
class KnownServer:
    """Each request's tokens come 2 ms apart per request in flight: 25 at once are 50 ms."""

    asked: list = field(default_factory=list)

    def run(self, scenario, target, name):
        self.asked.append(scenario.concurrency)
        gap = 2.0 * scenario.concurrency
        lines = []
        for i in range(scenario.num_requests):
            metrics = {
                "request_latency": {"value": 100 + 9 * gap},
                "time_to_first_token": {"value": 100},
                "inter_token_latency": {"value": gap},
                "output_sequence_length": {"value": 10},
                "input_sequence_length": {"value": 8},
            }
            meta = {"benchmark_phase": "profiling", "request_start_ns": i}
            lines.append(json.dumps({"metadata": meta, "metrics": metrics}))
        block = {"unit": "ms", "avg": gap, "p50": gap, "p95": gap, "count": scenario.num_requests}
        first = block | {"avg": 100, "p50": 100, "p95": 100}
        summary = {
            "aiperf_version": "t",
            "request_latency": first | {"avg": 100 + 9 * gap},
            "request_count": {"unit": "requests", "avg": scenario.num_requests},
            "time_to_first_token": first,
            "inter_token_latency": block,
            "total_osl": {"unit": "tokens", "avg": 10 * scenario.num_requests},
            "benchmark_duration": {"unit": "sec", "avg": 10.0},
            "input_config": {
                "phases": [{"kind": "profiling", "concurrency": scenario.concurrency}]
            },
        }
        return ResultFiles(
            folder=name, summary=json.dumps(summary), records="\n".join(lines), server_metrics=None
        )


class Clock:
    """Time that passes by so much with each look."""

    def __init__(self, step_s=0.0):
        self.at, self.step_s = -step_s, step_s

    def now(self):
        self.at += self.step_s
        return self.at

    def sleep(self, duration_s):
        raise AssertionError("nothing waits here")


BY_SLO = Method(judge=lambda scenario, runs: judge(runs, SLO))


def scenario(concurrency=8):
    return Scenario(
        concurrency=concurrency, requests_per_s=None, input_tokens=8, output_tokens=10,
        prefix_tokens=0, num_requests=60, num_warmup=1,
    )  # fmt: skip


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
    assert conclusion(page) == "No load was shown to meet the objective; the lowest tried was 30."


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


def test_scenario_from_the_spec():
    made = scenario_for(Workload(concurrency=32), Slo(percentile=95))
    # ten rounds of 32 hold 59 requests besides the first and the last round
    assert (made.num_requests, made.num_warmup) == (320, 32)
    few = scenario_for(Workload(concurrency=4), Slo(percentile=99))
    assert few.num_requests == 299 + 2 * 4
    # 2.5 a second, each in flight for at most 2 + 99 x 0.05 = 6.95 s: 17.4 at once
    workload = Workload(requests_per_s=2.5, output_tokens=100)
    rate = scenario_for(workload, Slo(ttft_s=2.0, itl_s=0.05, percentile=99))
    assert (rate.concurrency, rate.num_requests, rate.load) == (None, 299 + 18, "2.5 requests/s")
    assert rate.num_warmup == 18
    assert scenario_for(workload, Slo(percentile=99)).num_requests == 2 * 299


def test_the_configuration_for_aiperf_names_the_key_and_never_holds_it():
    target = Target(url="http://h:8000", model="m", tokenizer="/t", has_api_key=True)
    config = aiperf_config(scenario(), target, "/runs/a")["benchmark"]
    assert config["endpoint"]["api_key"] == "${" + API_KEY_VARIABLE + "}"
    assert config["endpoint"]["extra"] == {"ignore_eos": True}
    kinds = [(p["kind"], p["requests"], p["concurrency"]) for p in config["phases"]]
    assert kinds == [("warmup", 1, 8), ("profiling", 60, 8)]


def test_shared_prefixes_are_part_of_the_prompt_length():
    made = scenario_for(Workload(input_tokens=100, prefix_tokens=60, concurrency=1), Slo())
    dataset = aiperf_config(made, TARGET, "a")["benchmark"]["datasets"][0]
    assert dataset["prompts"]["isl"]["mean"] == 40
    assert dataset["prefix_prompts"]["length"] == 60


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


def bench():
    found = sweep(KnownServer(), scenario(), TARGET, BY_SLO, Clock())
    return Bench(
        name="demo <1>", runs=found.runs, outcome=Outcome.PASS, is_sweep=True, best=found.best
    )


def test_the_page_is_self_contained_and_escaped():
    page = html(bench())
    assert "demo &lt;1&gt;" in page
    assert "src=" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http://127", "")
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg" class="sw-curve"') == 2
    assert page.count('class="sw-picture"') == 2  # TTFT and ITL over requests


def test_markdown_has_a_row_per_run():
    text = markdown(bench())
    assert text.count("| concurrency ") == len(bench().runs)
    assert f"**{bench().best}**" in text


def test_junit_counts():
    run = measure(KnownServer(), scenario(100), TARGET, "a", BY_SLO)
    suite = ElementTree.fromstring(junit("demo", run.verdict))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")  # itl, failed requests


def test_curve_places_points_to_scale():
    points = (
        Point(concurrency=1, tokens_per_s=100, latency_s=0.01),
        Point(concurrency=2, tokens_per_s=200, latency_s=0.02),
    )
    svg = ElementTree.fromstring(draw_curve(Curve(title="t", measured=points, objective_s=0.02)))
    circles = [c for c in svg if c.tag.endswith("circle")]
    xs, ys = [float(c.get("cx")) for c in circles], [float(c.get("cy")) for c in circles]
    assert (xs[1] - 72) == pytest.approx(2 * (xs[0] - 72), rel=0.01)
    assert ys[1] < ys[0] < 308
    assert (308 - ys[1]) == pytest.approx(2 * (308 - ys[0]), rel=0.01)


def test_server_metrics_of_a_real_engine():
    server = read_server_metrics((DATA / "server_metrics-vllm-0.32.0.json").read_text())
    assert server.preemptions == 0
    assert server.queue_max == 0
    assert server.running_max == 4
    assert server.explain() == ()


def test_server_metrics_explain_a_full_cache():
    def series(**stats):
        return {"series": [{"stats": stats}]}

    metrics = {
        "vllm:num_preemptions": series(total=212),
        "vllm:num_requests_waiting": series(max=9, avg=3),
    }
    text = json.dumps({"metrics": metrics})
    lines = read_server_metrics(text).explain()
    assert "212 preemptions" in lines[0]
    assert "up to 9, 3.0 on average" in lines[1]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metrics": 3}', '{"metrics": null}'])
def test_broken_server_metrics_are_unknown_not_an_error(text):
    assert read_server_metrics(text).explain() == ()


def scrape(at, usage, preemptions, phase="profiling"):
    def one(value):
        return [{"value": value}]

    metrics = {
        "vllm:kv_cache_usage_perc": one(usage),
        "vllm:num_preemptions": one(preemptions),
        "vllm:num_requests_running": one(4),
    }
    return json.dumps({"timestamp_ns": at * 10**9, "metrics": metrics, "benchmark_phase": phase})


def test_a_full_cache_is_told_with_the_second_it_was_full_from():
    series = "\n".join(
        [scrape(90, 0.1, 3, "warmup"), scrape(100, 0.4, 3), scrape(120, 0.7, 3),
         scrape(140, 0.99, 3), scrape(160, 0.99, 215)]
    )  # fmt: skip
    export = {"metrics": {"vllm:num_preemptions": {"series": [{"stats": {"total": 212}}]}}}
    found = read_server_side(json.dumps(export), series)
    assert found.full_from_s == 40
    assert found.scrapes[-1].preemptions == 212
    assert found.explain()[0].startswith("KV cache full from t=40 s: 212 preemptions")
    assert read_server_side(None, series) is None


def test_gpu_telemetry_counts_only_what_was_seen_during_the_load():
    def line(gpu, at, busy, watts):
        data = {
            "nvidia_gpu_utilization": busy,
            "nvidia_power_usage": watts,
            "nvidia_memory_used": 70,
        }
        row = {"gpu_uuid": gpu, "timestamp_ns": at * 10**9, "telemetry_data": data}
        return json.dumps(row)

    series = "\n".join(
        [
            line("a", 1, 0, 80),
            line("a", 10, 90, 500),
            line("b", 10, 50, 400),
            line("b", 12, 70, 400),
        ]
    )
    found = read_gpu_use(series, 5, 20)
    # means of the GPUs: 90 and 60 %; 500 and 400 W
    assert (found.num_gpus, found.utilization, found.utilization_least) == (2, 0.75, 0.6)
    assert found.power_w == 450
    assert read_gpu_use(series, 30, 40) is None


def test_lengths_prefixes_and_rates_reach_aiperf():
    load = Workload(
        input_tokens=100, input_stddev=20, output_tokens=50, output_stddev=5, prefix_tokens=60,
        num_prefixes=3, requests_per_s=2.5,
    )  # fmt: skip
    config = aiperf_config(scenario_for(load, Slo()), TARGET, "a")["benchmark"]
    dataset = config["datasets"][0]
    assert dataset["prompts"]["isl"] == {"mean": 40, "stddev": 20}
    assert dataset["prompts"]["osl"] == {"mean": 50, "stddev": 5}
    assert dataset["prefix_prompts"] == {"pool_size": 3, "length": 60}
    assert {(p["type"], p["rate"]) for p in config["phases"]} == {("poisson", 2.5)}


def test_a_trace_is_replayed_at_its_own_instants():
    made = replayed(scenario_for(Workload(concurrency=4), Slo()), "/t.jsonl", 12)
    config = aiperf_config(made, TARGET, "a")["benchmark"]
    assert config["datasets"][0]["path"] == "/t.jsonl"
    assert [p["type"] for p in config["phases"]] == ["fixed_schedule"]
    assert made.load == "trace of 12 requests"


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
