"""Rates beside a yardstick, so that a slow or shared machine can be told from slow code.

The yardstick is a fixed piece of plain Python: text keys put into a mapping and added up. Rates are
given in CPU time, best of several rounds, and as objects per 1,000 steps of the yardstick, which
barely moves with the machine. Used by the benchmarks of lint and render.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import page

STEPS = 60_000
ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A piece of work on so many things, and how many a second are asked for."""

    name: str
    per_s: float
    count: int
    work: Callable[[], object]


def yardstick() -> None:
    """Do the fixed work."""
    sums: dict[str, int] = {}
    for step in range(STEPS):
        key = str(step % 997)
        sums[key] = sums.get(key, 0) + step


def least_s(work: Callable[[], object]) -> tuple[float, float]:
    """Return the least wall and CPU seconds of a piece of work."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        gc.collect()
    return min(walls), min(cpus)


def report(title: str, about: str, targets: tuple[Target, ...]) -> int:
    """Measure all, print them and write their section; 1 if CPU time misses a target.

    about: what was done to which things, for the reader of the page.
    """
    load = os.getloadavg()[0]
    _, step_s = least_s(yardstick)
    steps_per_s = STEPS / step_s
    rows, missed = [], False
    for each in targets:
        wall, cpu = least_s(each.work)
        rate = each.count / cpu
        missed |= rate < each.per_s
        rows.append(
            f"| {each.name} | {each.per_s:,} | {rate:,.0f} | {each.count / wall:,.0f} |"
            f" {rate / steps_per_s * 1000:.3f} |"
        )
    body = [
        about,
        "",
        page.machine(load),
        f"The yardstick, plain Python, made {steps_per_s / 1e6:.2f} million steps/s of CPU time;",
        "the last column is in its steps and hardly moves with the machine.",
        "",
        "| What | asked /s | of CPU time /s | by the clock /s | per 1,000 steps |",
        "|---|---:|---:|---:|---:|",
        *rows,
    ]
    print("\n".join(body[3:]))
    page.write(title, "\n".join(body))
    return int(missed)
