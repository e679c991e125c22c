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
from shardwright.bench.report import OUTCOME_WORDS, Bench
from shardwright.bench.run import Method, Run, Sweep, measure, swept
from shardwright.bench.scenario import Scenario, at_concurrency
from shardwright.cli.bench_facts import planned, surroundings
from shardwright.cli.bench_output import PAGE, write_reports
from shardwright.cli.bench_question import spec_text
from shardwright.cli.bench_target import Aim
from shardwright.drive.aiperf import AiperfProcess
from shardwright.drive.openai import engine_version
from shardwright.rehearse.events import PhaseDone
from shardwright.rehearse.report import layout_words
from shardwright.verify.attempts import Check
from shardwright.verify.verdict import judge

if TYPE_CHECKING:
    from shardwright.cli.bench_question import Question
    from shardwright.cli.progress import Progress
    from shardwright.model.measured import Measured
    from shardwright.rehearse.scene import Scene
    from shardwright.verify.verdict import Verdict

INPUT_TOKENS, OUTPUT_TOKENS = 32, 8
LOADS = (1, 4, 8)
"""Concurrencies: few, so that they fit the two cores a rehearsal may have."""

Load = Callable[[str, str, str | None, tuple[PhaseDone, ...]], tuple[Check, ...]]


def aiperf_load(executable: Path, scene: Scene, question: Question, progress: Progress) -> Load:
    """Return what sends the load and judges it; reports are written into the question's folder, and
    the way to the page is said as the folder is given.
    """
    slo, folder = question.slo, question.folder

    def by_slo(scenario: Scenario, runs: tuple[Measured, ...]) -> Verdict:
        del scenario
        return judge(runs, slo)

    def load(
        url: str, model: str, key: str | None, phases: tuple[PhaseDone, ...]
    ) -> tuple[Check, ...]:
        tool = AiperfProcess(
            executable=executable,
            folder=folder.absolute(),
            api_key=key,
            say=lambda line: progress.say(f"    {line}"),
            show=lambda line: progress.wait(f"    {line}" if line else ""),
        )
        target = Target(
            url=url, model=model, tokenizer=scene.model_path, has_api_key=key is not None
        )
        method = Method(judge=by_slo, percentile=slo.percentile)
        found = swept(
            measure(tool, _scenario(n, slo.percentile), target, f"concurrency-{n}", method)
            for n in LOADS
        )
        facts = (("loaded from", "this machine, on its CPUs"),)
        aim = Aim(tool=tool, target=target, facts=facts, engine=engine_version(url))
        bench = bench_of(found, aim, question, scene, phases)
        write_reports(bench, folder)
        for line in summary(bench, folder / PAGE):
            progress.say(f"    {line}")
        return tuple(_check(run) for run in found.runs)

    return load


def bench_of(
    found: Sweep, aim: Aim, question: Question, scene: Scene, phases: tuple[PhaseDone, ...]
) -> Bench:
    """The loads as a bench, beside the deployment's spec, plan and topology."""
    here = f"{layout_words(scene.plan)}, {scene.nodes}"
    return Bench(
        name=scene.deployed.name,
        runs=found.runs,
        outcome=found.outcome,
        is_sweep=True,
        best=found.best,
        spec=spec_text(question),
        startup=_startup(phases),
        environment=(*surroundings(aim, found.runs[-1]), ("rehearsed as", here)),
        note=f"A rehearsal as {here}, with a small model on CPUs. Topology, plan and spec are of "
        "the deployment; of its GPUs these figures say nothing.",
        **planned(question),
    )


def summary(bench: Bench, page: Path) -> list[str]:
    """The verdict and the curves in a few short lines."""
    loads = ", ".join(str(run.scenario.concurrency) for run in bench.runs)
    out = [f"bench: {bench.outcome.value.upper()} for this machine's CPUs; of GPUs it says nothing"]
    for name in ("ttft", "itl"):
        terms = [t for run in bench.runs for t in run.verdict.terms if t.name == name]
        values = [t.measured_s for t in terms if t.measured_s is not None]
        if values:
            asked = terms[0].objective_s
            words = f"  {name.upper()} p{terms[0].percentile:g}"
            text = f"{words:<12} {sparkline(values)}  {_span([v * 1e3 for v in values])} ms"
            out.append(text + (f", objective {asked * 1e3:,.0f} ms" if asked else ""))
    rates = [run.measured.output_tokens_per_s or 0.0 for run in bench.runs]
    out.append(f"  tokens/s   {sparkline(rates)}  {_span(rates)}, at {loads} requests at once")
    return [*out, f"  page: {page}"]


def _span(values: list[float]) -> str:
    return f"{min(values):,.0f} to {max(values):,.0f}"


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
        f"{term.name.upper()} p{term.percentile:g} {term.measured_s * 1e3:.0f} ms"
        for term in run.verdict.terms
        if term.measured_s is not None
    ]
    if measured.output_tokens_per_s:
        parts.append(f"{measured.output_tokens_per_s:.0f} tokens/s")
    parts.append(f"objective: {OUTCOME_WORDS[run.verdict.outcome]}")
    return Check(
        name=f"bench at {run.scenario.load}",
        passed=measured.num_failed == 0 and measured.num_completed > 0,
        detail=", ".join(parts),
        took_s=measured.duration_s,
    )
