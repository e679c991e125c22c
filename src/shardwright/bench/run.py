"""One measured run, and a sweep of them, over a port that sends the load.

`LoadTool` is AIPerf in `drive`; tests give one that answers from recorded files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shardwright.bench.aiperf import Target
from shardwright.bench.scenario import Scenario, at_concurrency
from shardwright.bench.search import highest_pass, next_concurrency
from shardwright.bench.server import ServerSide, read_server_metrics
from shardwright.model.measured import Measured
from shardwright.verify.readers import read_result
from shardwright.verify.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """What a load tool left: the text of its files and where they are."""

    folder: str
    summary: str
    records: str | None
    server_metrics: str | None


class LoadTool(Protocol):
    """Sends one scenario to one target and returns its files; raises ShardwrightError."""

    def run(self, scenario: Scenario, target: Target, name: str) -> ResultFiles:
        """Run to the end. name: the run's folder below the tool's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A scenario and what came of it."""

    scenario: Scenario
    measured: Measured
    verdict: Verdict
    server: ServerSide | None
    folder: str


Judge = Callable[[Scenario, Measured], Verdict]


def measure(tool: LoadTool, scenario: Scenario, target: Target, name: str, judge: Judge) -> Run:
    """Send one scenario and judge it."""
    files = tool.run(scenario, target, name)
    measured = read_result(
        files.summary, f"{files.folder}/profile_export_aiperf.json", files.records
    )
    return Run(
        scenario=scenario,
        measured=measured,
        verdict=judge(scenario, measured),
        server=read_server_metrics(files.server_metrics) if files.server_metrics else None,
        folder=files.folder,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Runs by rising concurrency; best: the highest that meets the objective, None if none does."""

    runs: tuple[Run, ...]
    best: int | None


def sweep(
    tool: LoadTool, scenario: Scenario, target: Target, judge: Judge, *, limit: int = 1024
) -> Sweep:
    """Search the highest concurrency that meets the objective; at most a dozen runs."""
    runs: dict[int, Run] = {}
    start = scenario.concurrency or 8
    while True:
        seen = {c: run.verdict.outcome for c, run in runs.items()}
        load = next_concurrency(seen, start=start, limit=limit)
        if load is None:
            ordered = tuple(runs[c] for c in sorted(runs))
            return Sweep(runs=ordered, best=highest_pass(seen))
        step = at_concurrency(scenario, load)
        runs[load] = measure(tool, step, target, f"concurrency-{load}", judge)
