"""One measured load, over as many runs as asked, and a sweep of them, over a port that sends it.

`LoadTool` is AIPerf in `drive`, here or as a Job; tests give one that answers from recorded files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from shardwright.bench.aiperf import SUMMARY, Target
from shardwright.bench.scenario import DEFAULT_CONCURRENCY, Scenario, at_concurrency, repeated
from shardwright.bench.search import highest_pass, next_concurrency
from shardwright.bench.server import ServerSide, read_server_side
from shardwright.bench.telemetry import GpuUse, read_gpu_use
from shardwright.model.measured import Measured
from shardwright.model.running import Clock
from shardwright.verify.readers import read_result
from shardwright.verify.repeats import pooled
from shardwright.verify.steady import steady
from shardwright.verify.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """What a load tool left: the text of its files and where they are. file: the summary's name.

    server_metrics, server_series: AIPerf's export and its single scrapes; gpu_series: DCGM's.
    """

    folder: str
    summary: str
    records: str | None
    server_metrics: str | None = None
    server_series: str | None = None
    gpu_series: str | None = None
    file: str = SUMMARY


class LoadTool(Protocol):
    """Sends one scenario to one target and returns its files; raises ShardwrightError."""

    def run(self, scenario: Scenario, target: Target, name: str) -> ResultFiles:
        """Run to the end. name: the run's folder below the tool's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A scenario and what came of it: one measurement per run, and their requests together.

    server, gpu and folder are the last run's.
    """

    scenario: Scenario
    runs: tuple[Measured, ...]
    measured: Measured
    verdict: Verdict
    server: ServerSide | None
    gpu: GpuUse | None
    folder: str


Judge = Callable[[Scenario, tuple[Measured, ...]], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How a load is measured. num_runs: independent runs of each load; judge: who decides.

    least_requests: of a load of a sweep, at least.
    """

    judge: Judge
    percentile: float = 95.0
    num_runs: int = 1
    least_requests: int = 0


def measure(tool: LoadTool, scenario: Scenario, target: Target, name: str, method: Method) -> Run:
    """Send one scenario, as often as asked, and judge its steady state."""
    found: list[tuple[Measured, ResultFiles]] = []
    for number in range(method.num_runs):
        place = name if method.num_runs == 1 else f"{name}/{number + 1}"
        found.append(_once(tool, repeated(scenario, number), target, place, method))
    runs = tuple(measured for measured, _ in found)
    files = found[-1][1]
    return Run(
        scenario=scenario,
        runs=runs,
        measured=pooled(runs, method.percentile),
        verdict=method.judge(scenario, runs),
        server=read_server_side(files.server_metrics, files.server_series),
        gpu=_gpu_use(files, runs[-1]),
        folder=files.folder,
    )


def _gpu_use(files: ResultFiles, measured: Measured) -> GpuUse | None:
    if files.gpu_series is None or not measured.samples:
        return None
    first = min(s.start_s for s in measured.samples)
    last = max(s.start_s + s.latency_s for s in measured.samples)
    return read_gpu_use(files.gpu_series, first, last)


def _once(
    tool: LoadTool, scenario: Scenario, target: Target, name: str, method: Method
) -> tuple[Measured, ResultFiles]:
    files = tool.run(scenario, target, name)
    whole = read_result(files.summary, f"{files.folder}/{files.file}", files.records)
    return steady(whole, method.percentile), files


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Runs by rising concurrency; best: the highest that meets the objective, None if none does.

    is_cut: the time was up before the search had ended.
    """

    runs: tuple[Run, ...]
    best: int | None
    is_cut: bool = False

    @property
    def outcome(self) -> Outcome:
        """Pass if any load meets the objective, else what the lowest one says."""
        return Outcome.PASS if self.best is not None else self.runs[0].verdict.outcome


def swept(runs: Iterable[Run], *, is_cut: bool = False) -> Sweep:
    """Put runs of different concurrency in order, and say which is the highest that passed."""
    by_load = {run.scenario.concurrency or 0: run for run in runs}
    seen = {load: run.verdict.outcome for load, run in by_load.items()}
    ordered = tuple(by_load[load] for load in sorted(by_load))
    return Sweep(runs=ordered, best=highest_pass(seen), is_cut=is_cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where a sweep ends: the highest concurrency tried; seconds after which no load begins."""

    concurrency: int = 1024
    seconds: float = 3600.0


def sweep(
    tool: LoadTool, scenario: Scenario, target: Target, method: Method, clock: Clock,
    bounds: Bounds | None = None,
) -> Sweep:  # fmt: skip
    """Search the highest concurrency that meets the objective; at most a dozen loads."""
    bounds = bounds or Bounds()
    runs: dict[int, Run] = {}
    began = clock.now()
    start = min(scenario.concurrency or DEFAULT_CONCURRENCY, bounds.concurrency)
    while True:
        seen = {c: run.verdict.outcome for c, run in runs.items()}
        load = next_concurrency(seen, start=start, limit=bounds.concurrency)
        is_cut = load is not None and bool(runs) and clock.now() - began > bounds.seconds
        if load is None or is_cut:
            return swept(runs.values(), is_cut=is_cut)
        step = at_concurrency(scenario, load, method.percentile, method.least_requests)
        runs[load] = measure(tool, step, target, f"concurrency-{load}", method)
