"""How far a load is, in a few words for one who waits. Read by load tools here and in a cluster."""

from __future__ import annotations

from shardwright.bench.pods.send_load import PROGRESS
from shardwright.bench.scenario import Scenario


def progress_words(told: str, scenario: Scenario) -> str:
    """Put what `Watch.look` says into words; empty where it says nothing.

    >>> from shardwright.model.request import Slo, Workload
    >>> from shardwright.bench.scenario import scenario_for
    >>> load = scenario_for(Workload(concurrency=4), Slo())
    >>> progress_words("warmup 3 0", load)
    '  warm-up: 3 of 4 requests answered'
    >>> progress_words("profiling 60 7", load)
    '  60 of 67 requests answered, 7 failed'
    """
    try:
        phase, answered, failed = told.split()
        count, num_failed = int(answered), int(failed.replace("-", "0"))
    except ValueError:
        return ""
    if phase == "preparing":
        return "  the load tool is preparing its requests"
    is_warm_up = phase == "warmup"
    total = scenario.num_warmup if is_warm_up else scenario.num_requests
    words = f"{'warm-up: ' if is_warm_up else ''}{count:,} of {total:,} requests answered"
    return f"  {words}" + (f", {num_failed:,} failed" if num_failed else "")


def progress_of(log: str, scenario: Scenario) -> str:
    """The words of the last line about progress in the log of a pod; empty where there is none."""
    lines = (line for line in reversed(log.splitlines()) if line.startswith(PROGRESS))
    return progress_words(next(lines, "").removeprefix(PROGRESS), scenario)
