"""The requests of a load: how many, how long, and when. Random, and the same ones each time."""

from __future__ import annotations

import random
from dataclasses import dataclass

from shardwright.planner.point import FIRST_BURST, SERVICE, Point
from shardwright.planner.scheduling import Scheduling

MAX_SIMULATED_REQUESTS = 1200
"""Longer runs are cut: later rounds repeat each other, and the burst is weighed as it should be."""

OPEN_LOOP_REQUESTS = 512

SERVICE_SAMPLES = 400
"""Least requests that a percentile of a service is taken of: of a hundred, five decide on the 95th,
and TTFT with two prompts in a step may or may not be among them."""

SETTLING_ROUNDS = 3
"""Requests of a service per slot that come before any that counts. Prompts are served in order, so
no slot sends its fourth before every slot has answered its first, and the burst of those is over.
"""

MOST_WAVES = 9
"""Rounds of an offline run that are replayed; those between repeat each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Lengths in tokens per request, in order; `behind`: output tokens already out of the first.

    burst_share: weight in the means of the requests before `first`; 0 leaves them out. Those from
    `last` on, while slots run dry, never count. due: arrival times of an open loop in s, else one
    placeholder.
    """

    prompts: list[float]
    outputs: list[float]
    behind: list[float]
    burst_share: float
    due: list[float]
    first: int
    last: int


def load_of(point: Point, sched: Scheduling, slots: int) -> Load:
    """Return the requests that `slots` sequences at once serve."""
    if point.request_rate:
        return _open_loop(point, sched, slots)
    if sched.run_requests:
        return _offline(point, sched, slots)
    if point.window == SERVICE and point.concurrency and slots > 1:
        return _service(point, sched, slots)
    if point.window != FIRST_BURST or point.concurrency is None:
        return _steady(point, slots)
    rounds = sched.requests_per_slot
    num = min(rounds * slots, max(MAX_SIMULATED_REQUESTS, 3 * slots))
    prompts, outputs = _lengths(point, sched, num)
    return Load(
        prompts=prompts,
        outputs=outputs,
        behind=[0.0] * slots,
        burst_share=1 / rounds,
        due=[-1.0] if num != 1 else [-1.0, -1.0],
        first=slots,
        last=num,
    )


def _offline(point: Point, sched: Scheduling, slots: int) -> Load:
    """All requests of a run at once, of equal lengths: the slots fill in waves, and the last wave
    is rarely full.
    """
    num = min(max(1, sched.run_requests), MOST_WAVES * slots)
    prompt = max(1.0, point.isl * (1 - point.prefix_hit_rate))
    return Load(
        prompts=[prompt] * num,
        outputs=[float(point.osl)] * num,
        behind=[0.0] * min(slots, num),
        burst_share=1.0,
        due=[-1.0] if num != 1 else [-1.0, -1.0],
        first=slots,
        last=num,
    )


def _steady(point: Point, slots: int) -> Load:
    """Slots that start part-way through their answers, evenly spread; one slot: an idle engine."""
    num = 4 if slots == 1 else max(5 * slots, 6) if point.concurrency else 3 * slots
    done = [float(int((i + 0.5) / slots * point.osl)) for i in range(slots)]
    if slots == 1:
        done = [0.0]
    prompt = max(1.0, point.isl * (1 - point.prefix_hit_rate))
    return Load(
        prompts=[prompt + (done[i] if i < slots else 0.0) for i in range(num)],
        outputs=[float(point.osl)] * num,
        behind=done,
        burst_share=1.0 if slots == 1 else 0.0,
        due=[-1.0],
        first=slots,
        last=num,
    )


def _service(point: Point, sched: Scheduling, slots: int) -> Load:
    """Users who know nothing of each other: slots somewhere in their answers, lengths that differ,
    so that some requests come while another's prompt is computed. What counts is sent once the
    burst of the start is over, and served while every slot is taken.
    """
    rng = random.Random(13)  # noqa: S311
    first = SETTLING_ROUNDS * slots
    last = first + SERVICE_SAMPLES
    num = last + slots
    prompts, outputs = _lengths(point, sched, num)
    done = [float(int(rng.random() * (outputs[i] - 1))) for i in range(slots)]
    return Load(
        prompts=[p + (done[i] if i < slots else 0.0) for i, p in enumerate(prompts)],
        outputs=outputs,
        behind=done,
        burst_share=0.0,
        due=[-1.0],
        first=first,
        last=last,
    )


def _open_loop(point: Point, sched: Scheduling, slots: int) -> Load:
    """Poisson arrivals at the asked rate."""
    rng = random.Random(11)  # noqa: S311
    prompts, outputs = _lengths(point, sched, OPEN_LOOP_REQUESTS)
    clock, due = 0.0, []
    for _ in range(OPEN_LOOP_REQUESTS):
        clock += rng.expovariate(point.request_rate or 1.0)
        due.append(clock)
    return Load(
        prompts=prompts,
        outputs=outputs,
        behind=[0.0] * slots,
        burst_share=1.0,
        due=due,
        first=slots,
        last=OPEN_LOOP_REQUESTS,
    )


def _lengths(point: Point, sched: Scheduling, num: int) -> tuple[list[float], list[float]]:
    rng = random.Random(7)  # noqa: S311
    missed = 1 - point.prefix_hit_rate
    if sched.has_fixed_lengths:
        prompt = float(int(point.isl_mean or point.isl))
        output = float(int(point.osl_mean or point.osl))
        return [max(1.0, prompt * missed)] * num, [output] * num
    prompts = _uniform(rng, point.isl, point.isl_mean, num)
    return [max(1.0, p * missed) for p in prompts], _uniform(rng, point.osl, point.osl_mean, num)


def _uniform(rng: random.Random, nominal: int, mean: float | None, num: int) -> list[float]:
    """Lengths uniform up to the nominal one with the given mean; within a tenth around it if none
    is given.
    """
    if mean is None:
        low, high = 0.9 * nominal, 1.1 * nominal
    elif mean > nominal:
        low = high = mean
    else:
        low, high = max(1.0, 2 * mean - nominal), float(nominal)
    return [max(2.0, float(int(rng.uniform(low, high) + 0.5))) for _ in range(num)]
