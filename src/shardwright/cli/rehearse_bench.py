"""The load of `shardwright rehearse --bench`: AIPerf on the rehearsed endpoint, at CPU size.

The verdict is real and says nothing of GPUs; what it proves is the way from load to verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shardwright.bench.aiperf import Target
from shardwright.bench.report import Bench, html, markdown
from shardwright.bench.run import Run, measure
from shardwright.bench.scenario import Scenario
from shardwright.drive.aiperf import AiperfProcess
from shardwright.verify.confidence import requests_needed
from shardwright.verify.proof import Check
from shardwright.verify.verdict import judge

if TYPE_CHECKING:
    from shardwright.model.measured import Measured
    from shardwright.model.request import Slo
    from shardwright.verify.verdict import Verdict

INPUT_TOKENS, OUTPUT_TOKENS = 32, 8
LOADS = (2, 8)
"""Concurrencies: two points make a curve, and fit the two cores a rehearsal may have."""

Load = Callable[[str, str, str | None], tuple[Check, ...]]


def aiperf_load(
    executable: Path, tokenizer: Path, slo: Slo, folder: Path, say: Callable[[str], None]
) -> Load:
    """Return what sends the load and judges it; reports are written into the folder."""

    def by_slo(scenario: Scenario, measured: Measured) -> Verdict:
        del scenario
        return judge(measured, slo)

    def load(url: str, model: str, key: str | None) -> tuple[Check, ...]:
        tool = AiperfProcess(executable=executable, folder=folder, api_key=key, say=say)
        target = Target(url=url, model=model, tokenizer=str(tokenizer), has_api_key=key is not None)
        runs = tuple(
            measure(tool, _scenario(n, slo.percentile), target, f"concurrency-{n}", by_slo)
            for n in LOADS
        )
        bench = Bench(name=model, runs=runs, outcome=runs[-1].verdict.outcome)
        (folder / "report.html").write_text(html(bench), encoding="utf-8")
        (folder / "report.md").write_text(markdown(bench), encoding="utf-8")
        return tuple(_check(run) for run in runs)

    return load


def _scenario(concurrency: int, percentile: float) -> Scenario:
    return Scenario(
        concurrency=concurrency,
        requests_per_s=None,
        input_tokens=INPUT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        prefix_tokens=0,
        num_requests=requests_needed(percentile),
        num_warmup=concurrency,
    )


def _check(run: Run) -> Check:
    measured = run.measured
    parts = [f"{measured.num_completed} requests, {measured.num_failed} failed"]
    parts += [
        f"{term.name} p{term.percentile:g} {term.measured_s * 1e3:.0f} ms"
        for term in run.verdict.terms
        if term.measured_s is not None
    ]
    if measured.output_tokens_per_s:
        parts.append(f"{measured.output_tokens_per_s:.0f} tokens/s")
    parts.append(f"verdict {run.verdict.outcome.value} (of this CPU, not of GPUs)")
    return Check(
        name=f"bench at {run.scenario.load}",
        passed=measured.num_failed == 0 and measured.num_completed > 0,
        detail=", ".join(parts),
        took_s=measured.duration_s,
    )
