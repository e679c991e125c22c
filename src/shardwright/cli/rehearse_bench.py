"""The load of `shardwright rehearse --bench`: AIPerf on the rehearsed endpoint, at CPU size.

The verdict is real and says nothing of GPUs; what it proves is the way from load to verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shardwright.bench.aiperf import Target
from shardwright.bench.curve import sparkline
from shardwright.bench.endpoint import Startup
from shardwright.bench.report import Bench
from shardwright.bench.run import Method, Run, measure, swept
from shardwright.bench.scenario import Scenario, at_concurrency
from shardwright.cli.bench_facts import surroundings
from shardwright.cli.bench_output import write_reports
from shardwright.cli.bench_target import Aim
from shardwright.drive.aiperf import AiperfProcess
from shardwright.drive.openai import engine_version
from shardwright.rehearse.events import PhaseDone
from shardwright.verify.proof import Check
from shardwright.verify.verdict import judge

if TYPE_CHECKING:
    from shardwright.model.measured import Measured
    from shardwright.model.request import Slo
    from shardwright.verify.verdict import Verdict

INPUT_TOKENS, OUTPUT_TOKENS = 32, 8
LOADS = (1, 4, 8)
"""Concurrencies: few, so that they fit the two cores a rehearsal may have."""

Load = Callable[[str, str, str | None, tuple[PhaseDone, ...]], tuple[Check, ...]]


def aiperf_load(
    executable: Path, tokenizer: Path, slo: Slo, folder: Path, say: Callable[[str], None]
) -> Load:
    """Return what sends the load and judges it; reports are written into the folder."""

    def by_slo(scenario: Scenario, runs: tuple[Measured, ...]) -> Verdict:
        del scenario
        return judge(runs, slo)

    def load(
        url: str, model: str, key: str | None, phases: tuple[PhaseDone, ...]
    ) -> tuple[Check, ...]:
        tool = AiperfProcess(executable=executable, folder=folder, api_key=key, say=say)
        target = Target(url=url, model=model, tokenizer=str(tokenizer), has_api_key=key is not None)
        method = Method(judge=by_slo, percentile=slo.percentile)
        found = swept(
            measure(tool, _scenario(n, slo.percentile), target, f"concurrency-{n}", method)
            for n in LOADS
        )
        runs = found.runs
        facts = (("loaded from", "this machine, on its CPUs"),)
        aim = Aim(tool=tool, target=target, facts=facts, engine=engine_version(url))
        bench = Bench(
            name=model,
            runs=runs,
            outcome=found.outcome,
            is_sweep=True,
            best=found.best,
            startup=_startup(phases),
            environment=surroundings(aim, runs[-1]),
        )
        write_reports(bench, folder)
        say(f"bench report: {folder / 'report.html'}")
        loads = ", ".join(map(str, LOADS))
        for name in ("tokens/s", "ITL"):
            say(f"  {name:<9}{sparkline(_series(runs, name))}  over concurrency {loads}")
        return tuple(_check(run) for run in runs)

    return load


def _series(runs: tuple[Run, ...], name: str) -> list[float]:
    if name == "tokens/s":
        return [run.measured.output_tokens_per_s or 0.0 for run in runs]
    return [next(t.measured_s or 0.0 for t in r.verdict.terms if t.name == "itl") for r in runs]


def _startup(phases: tuple[PhaseDone, ...]) -> tuple[Startup, ...]:
    """The phases of the slowest member, one after the other."""
    steps, before = [], 0.0
    for name in dict.fromkeys(phase.phase for phase in phases):
        end = max(phase.at_s for phase in phases if phase.phase == name)
        if end >= before:
            steps.append(Startup(name=name, start_s=before, end_s=end))
            before = end
    return tuple(steps)


def _scenario(concurrency: int, percentile: float) -> Scenario:
    scenario = Scenario(
        concurrency=concurrency,
        requests_per_s=None,
        input_tokens=INPUT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        prefix_tokens=0,
        num_requests=0,
        num_warmup=concurrency,
    )
    return at_concurrency(scenario, concurrency, percentile)


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
