"""The figures of the report, recomputed here from AIPerf's single requests by other arithmetic."""

import json
import statistics
from pathlib import Path

import pytest

from shardwright.bench.page import html
from shardwright.bench.report import Bench, markdown
from shardwright.bench.run import Method, ResultFiles, measure
from shardwright.bench.scenario import Scenario
from shardwright.model.request import Slo
from shardwright.verify.verdict import judge

DATA = Path(__file__).parents[2] / "data" / "bench"
SCENARIO = Scenario(
    concurrency=4, requests_per_s=None, input_tokens=64, output_tokens=16, prefix_tokens=0,
    num_requests=40, num_warmup=4,
)  # fmt: skip


class Recorded:
    """A load tool that once ran: its files as they are."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, scenario, target, name):
        return ResultFiles(
            folder=str(self.folder),
            summary=(self.folder / "profile_export_aiperf.json").read_text(),
            records=(self.folder / "profile_export.jsonl").read_text(),
        )


def requests(folder):
    """Single requests as this test reads them: (start, ttft, itl, latency) in ms, tokens."""
    out = []
    for line in (folder / "profile_export.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["metadata"]["benchmark_phase"] != "profiling" or record.get("error"):
            continue
        m = record["metrics"]
        out.append(
            (record["metadata"]["request_start_ns"] / 1e6, m["time_to_first_token"]["value"],
             m["inter_token_latency"]["value"], m["request_latency"]["value"])
        )  # fmt: skip
    return sorted(out)


def percentile(values, p):
    """`statistics.quantiles` of the inclusive method: linear, as AIPerf's."""
    return statistics.quantiles(values, n=100, method="inclusive")[p - 1]


@pytest.mark.parametrize("name", ["aiperf-0.13.0-slow", "aiperf-0.13.0-rate"])
def test_percentiles_and_goodput_of_the_report(name):
    folder, slo = DATA / name, Slo(ttft_s=0.122, itl_s=0.0155)
    method = Method(judge=lambda scenario, runs: judge(runs, slo))
    run = measure(Recorded(folder), SCENARIO, None, "run", method)
    kept = requests(folder)
    if run.measured.window:  # the same window by other words
        first = kept[: run.measured.concurrency or 8]
        opens = max(start + latency for start, _, _, latency in first)
        kept = [r for r in kept if opens <= r[0] <= kept[-1][0]]
    terms = {t.name: t for t in run.verdict.terms}
    assert terms["ttft"].measured_s * 1e3 == pytest.approx(percentile([r[1] for r in kept], 95))
    assert terms["itl"].measured_s * 1e3 == pytest.approx(percentile([r[2] for r in kept], 95))
    good = sum(r[1] <= 122 and r[2] <= 15.5 for r in kept)
    assert run.verdict.goodput_share == pytest.approx(good / len(kept))
    bench = Bench(name="x", runs=(run,), outcome=run.verdict.outcome)
    shown = f"{percentile([r[1] for r in kept], 95):.1f} ms"
    assert shown in markdown(bench)
    assert shown in html(bench)
