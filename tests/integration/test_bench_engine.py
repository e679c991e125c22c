"""`bench` with the real AIPerf on the real CPU engine, TP=2 x PP=2, as a rehearsal starts it.

Every figure of a report is computed again here from AIPerf's single requests, by other means. The
engine answers on a few cores, so what is asked is small, and nothing is said of how fast it is.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import fmean, quantiles, stdev
from xml.etree import ElementTree

import pytest
from tests.integration.real_engine import EXAMPLE, real_engine
from tests.integration.recount import check, requests_of, steady_of, tokens_within

ENGINES = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shardwright" / "engines"
)

pytestmark = pytest.mark.skipif(
    not (list(ENGINES.glob("aiperf-*/installed.json")) and list(ENGINES.glob("vllm-*"))),
    reason="needs AIPerf and the CPU engine: shardwright engines install aiperf vllm",
)
FEW = ("--input-tokens", "24", "--output-tokens", "5", "--percentile", "50")


@pytest.fixture(scope="module")
def engine():
    with real_engine() as found:
        yield found


@dataclass
class Bench:
    """What a bench said and left."""

    code: int
    said: str
    result: dict
    out: Path


@pytest.fixture
def bench(engine, tmp_path):
    def call(*options, out="out"):
        command = [
            sys.executable, "-m", "shardwright", "bench", engine["url"], "--tokenizer",
            engine["tokenizer"], "--out", str(tmp_path / out), *map(str, options),
        ]  # fmt: skip
        env = os.environ | {"XDG_DATA_HOME": str(tmp_path / "data")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        result = tmp_path / out / "result.json"
        assert result.is_file(), done.stderr
        document = json.loads(result.read_text())
        return Bench(done.returncode, done.stdout + done.stderr, document, tmp_path / out)

    return call


def test_runs_of_one_load_are_measured_apart_and_judged_together(bench, tmp_path):
    found = bench(*FEW, "--concurrency", 2, "--requests", 14, "--runs", 2, "--ttft-ms", 60_000,
                  "--itl-ms", 60_000, "--junit", tmp_path / "b.xml")  # fmt: skip
    assert found.code in (0, 4), found.said  # 4: these cores were too busy to send in time
    run = found.result["runs"][0]
    runs = [requests_of(found.out / "run" / str(n)) for n in (1, 2)]
    assert [len(requests) for requests in runs] == [14, 14]
    cut = [steady_of(requests, 2) for requests in runs]
    check(run, [r for requests in runs for r in requests], [r for kept, _, _ in cut for r in kept])
    seconds = sum(ends - begins for _, begins, ends in cut)
    assert run["measured"]["window"]["num_runs"] == 2
    assert run["measured"]["duration_s"] == pytest.approx(seconds, rel=1e-6)
    tokens = sum(
        tokens_within(requests, begins, ends)
        for requests, (_, begins, ends) in zip(runs, cut, strict=True)
    )
    rate = run["verdict"]["output_tokens_per_s"]
    assert rate * seconds == pytest.approx(tokens, abs=1.5)  # each run's tokens are rounded
    # Student's t for two runs: 12.706 deviations of their mean
    medians = [quantiles([r[1] for r in kept], n=2)[0] for kept, _, _ in cut]
    between = run["verdict"]["terms"][0]["between_runs"]
    half = 12.706 * stdev(medians) / sqrt(2)
    assert between["high"] - between["mean"] == pytest.approx(half, rel=2e-3, abs=1e-6)
    suite = ElementTree.parse(tmp_path / "b.xml").getroot()
    told = ["ttft p50", "itl p50", "failed requests", *(["verdict"] if found.code == 4 else [])]
    assert [case.get("name") for case in suite] == told
    # the files alone have the same verdict
    command = [sys.executable, "-m", "shardwright", "verdict", found.out / "run", "--ttft-ms",
               "60000", "--itl-ms", "60000", "--percentile", "50", "-o", "json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == found.code
    again = json.loads(done.stdout)["verdict"]
    again.pop("num_gpus", None)
    assert again == run["verdict"]


def test_arrivals_at_a_rate_come_as_a_poisson_process(bench):
    found = bench(*FEW, "--rate", 2, "--requests", 40, "--ttft-ms", 60_000)
    requests = requests_of(found.out / "run")
    run = found.result["runs"][0]
    assert run["scenario"]["requests_per_s"] == 2
    assert run["measured"]["requests_per_s"] == 2
    assert len(requests) == 40
    gaps = [later - earlier for earlier, later in pairwise(r[0] for r in requests)]
    # 39 exponential gaps of mean 0.5 s: their mean is within 4 deviations, 0.5 / sqrt(39) each
    assert fmean(gaps) == pytest.approx(0.5, abs=4 * 0.5 / sqrt(39))
    # neither evenly spaced (deviation 0) nor in bursts; a busy machine sends some late
    assert 0.4 < stdev(gaps) / fmean(gaps) < 2
    begins = requests[0][0] + max(r[2] for r in requests)
    kept = [r for r in requests if r[0] >= begins]
    check(run, requests, kept if len(kept) >= 5 else requests)  # a p50 takes five


def test_a_trace_is_replayed_at_its_own_instants_with_its_own_lengths(bench, tmp_path):
    lines = [(0, 30, 4), (700, 60, 6), (1500, 20, 3), (4000, 90, 5), (4100, 30, 4), (6000, 20, 3)]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(
        json.dumps({"timestamp": at, "input_length": asked, "output_length": back}) + "\n"
        for at, asked, back in lines
    ))  # fmt: skip
    found = bench("--trace", trace, "--percentile", 50, "--ttft-ms", 60_000)
    requests = requests_of(found.out / "run")
    run = found.result["runs"][0]
    assert run["measured"]["window"] is None
    check(run, requests, requests)
    # AIPerf counts the tokens of the text anew, and two that were made can read as one
    counted = sorted(r[3] for r in requests)
    for tokens, back in zip(counted, sorted(back for _, _, back in lines), strict=True):
        assert back - 1 <= tokens <= back
    # not at once: a busy machine sends each some time after it is due
    assert requests[-1][0] - requests[0][0] > 3
    assert found.result["runs"][0]["scenario"]["trace"] == str(trace)


def test_a_baseline_that_was_faster_fails_the_pipeline_and_one_as_fast_does_not(bench, tmp_path):
    load = (*FEW, "--concurrency", 2, "--requests", 14)
    first = bench(*load, out="first")
    earlier = first.result
    for term in earlier["runs"][0]["verdict"]["terms"]:
        term["mean_s"] /= 100  # as if it had been a hundred times as fast
    faster = tmp_path / "faster.json"
    faster.write_text(json.dumps(earlier))
    worse = bench(*load, "--baseline", faster, "--max-regression", "900%", "--junit",
                  tmp_path / "b.xml")  # fmt: skip
    assert worse.code == 1
    assert "WORSE: mean time to first token" in worse.said
    kept, _, _ = steady_of(requests_of(worse.out / "run"), 2)
    change = next(c for c in worse.result["changes"] if "first token" in c["name"])
    assert change["after"] == pytest.approx(fmean(r[1] for r in kept), rel=1e-3)
    suite = ElementTree.parse(tmp_path / "b.xml").getroot()
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["mean time to first token, s", "mean time between tokens, s"]


def test_a_sweep_measures_each_load_and_keeps_what_calibrate_reads(bench, tmp_path):
    spec = tmp_path / "spec.yaml"
    text = EXAMPLE.read_text().replace("concurrency: 32", "concurrency: 1")
    text = text.replace("inputTokens: 2048", "inputTokens: 24")
    text = text.replace("outputTokens: 256", "outputTokens: 5")
    slo = "slo: {ttftMs: 60000, itlMs: 60000, percentile: 50}"
    spec.write_text(text.replace("slo: {ttftMs: 2000, itlMs: 60, percentile: 95}", slo))
    assert slo in spec.read_text()
    found = bench("--spec", spec, "--sweep", "--max-concurrency", 2)
    loads = [run["scenario"]["concurrency"] for run in found.result["runs"]]
    # a sweep goes on from a load that passes; where these cores are too busy to tell, it ends there
    has_passed = found.result["runs"][0]["verdict"]["outcome"] == "pass"
    assert loads == ([1, 2] if has_passed else [1])
    for places, run in zip(loads, found.result["runs"], strict=True):
        requests = requests_of(found.out / f"concurrency-{places}")
        check(run, requests, steady_of(requests, places)[0])
    assert found.result["best"] in (1, 2, None)
    file = tmp_path / "data" / "shardwright" / "measurements" / "records.jsonl"
    rows = file.read_text() if file.is_file() else ""
    records = [json.loads(line) for line in rows.splitlines()]
    kept = [(row["concurrency"], row["isl"], row["osl"]) for row in records]
    spoilt = {"client-bound", "answers-in-one-piece"}  # by busy cores: nothing to learn from
    clean = [
        load
        for load, run in zip(loads, found.result["runs"], strict=True)
        if not spoilt & {finding["code"] for finding in run["verdict"]["findings"]}
    ]
    assert kept == [(load, 24, 5) for load in clean]
    # of the engine that answered, not of the one the spec would deploy
    said = dict(found.result["environment"])["engine"]
    assert {f"vLLM {row['engine_version']}" for row in records} <= {said}
    page = (found.out / "report.html").read_text()
    assert "Measured beside predicted" in page
    assert 'src="http' not in page
