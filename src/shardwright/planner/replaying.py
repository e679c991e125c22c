"""From a point and its deployment to the arguments of `simulate.replay`, and from what each request
saw to the means a load test reports.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.errors import usage_error
from shardwright.planner.coefficients import Coefficients
from shardwright.planner.deployment import Setup
from shardwright.planner.load import OPEN_LOOP_REQUESTS, Load, load_of
from shardwright.planner.point import MOST_CONCURRENCY, STEADY, Point
from shardwright.planner.scheduling import Scheduling, scheduling_of, tuned
from shardwright.planner.simulate import WHOLE_PROMPTS
from shardwright.planner.steptime import architecture_of

OFFLINE_SEQUENCE_SHARE = 0.4
"""Share of a sequence's cost per step that is left at maximum load, where no client is streamed to.
Read off throughput.csv."""

MOST_PROMPT_PIECES = 500_000
"""Prompt pieces one replay may schedule: some seconds of work. More come only of a token budget far
below the prompt."""

TURNAROUND_S = 0.003
"""Seconds between a client's last token and its next request. Assumed: one HTTP round trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The arguments of `simulate.replay`, and the slots they stand for."""

    tokens: list[float]
    head: list[float]
    rates: tuple[float, ...]
    loop: tuple[float, ...]
    load: Load
    sched: Scheduling
    slots: int


def replay_of(point: Point, setup: Setup, k: Coefficients) -> Replay:
    """Return what is to be replayed: with pipeline stages, all the batches that take turns."""
    sched = scheduling_of(point, setup.engine, setup.gpu.id, architecture_of(setup.gpu))
    stages, t = point.pipeline_parallel, setup.table
    if sched.run_requests and setup.capacity:
        sched = tuned(sched, point, setup.capacity / (point.isl + point.osl))
    most = sched.max_num_seqs * (stages if sched.limits_each_stage else 1)
    slots = _slots(point, setup, sched, most)
    load = load_of(point, sched, slots)
    _refuse_endless(load, sched)
    # nobody is streamed to in an offline run
    offline = OFFLINE_SEQUENCE_SHARE if point.concurrency is None and not point.request_rate else 1
    return Replay(
        tokens=t.tokens.tolist(),
        head=t.head.tolist(),
        rates=(
            t.kv_s, t.pair_s, t.seq_s * offline, t.gap_s, t.prefill_floor_s, t.prefill_gap_s,
            k.of("lookahead", setup.engine, setup.era),
        ),
        loop=(
            float(slots), float(sched.policy), float(sched.token_budget),
            setup.capacity, float(sched.poll_steps), TURNAROUND_S, float(sched.depth),
            float(max(1, most)),
            0.0 if load.burst_share else float(load.first),
            float(stages),
        ),
        load=load,
        sched=sched,
        slots=slots,
    )  # fmt: skip


def mean_over_run(values: list[float], first: int, burst_share: float) -> float:
    """Mean over a run of which later rounds may have been cut: the first `first` requests weigh
    burst_share. An open loop, whose requests all count alike, has share 1.

    >>> mean_over_run([4.0, 1.0, 1.0], 1, 0.1)
    1.3
    """
    early, late = values[:first], values[first:]
    if burst_share >= 1 or not late:
        return mean(values)
    return burst_share * mean(early) + (1 - burst_share) * mean(late)


def _refuse_endless(load: Load, sched: Scheduling) -> None:
    pieces = sum(load.prompts) / max(sched.token_budget, 1)
    if pieces > MOST_PROMPT_PIECES:
        raise usage_error(
            "point-out-of-range",
            f"{len(load.prompts):,} prompts of up to {max(load.prompts):,.0f} tokens in steps of "
            f"{sched.token_budget:,}: {pieces:,.0f} pieces to replay",
            remedy="give a larger max_num_batched_tokens, shorter prompts or fewer requests",
        )


def _slots(point: Point, setup: Setup, sched: Scheduling, most: int) -> int:
    """Requests in the system: the given concurrency, what fits at maximum load, or for an arrival
    rate as many as requests are simulated.
    """
    if point.request_rate:
        return OPEN_LOOP_REQUESTS
    if point.concurrency is not None:
        return point.concurrency
    share = 1.0 if sched.policy == WHOLE_PROMPTS else 0.5
    held = (point.isl_mean or point.isl) + share * (point.osl_mean or point.osl)
    return max(1, min(most, int(setup.capacity / held), MOST_CONCURRENCY))


def fixed_ttft_s(point: Point, setup: Setup, k: Coefficients) -> float:
    """Seconds that are not the engine's steps: HTTP, tokenizing, and the way back, which is shared
    by all streams.
    """
    if point.window == STEADY:
        return k.of("first_token_s", "in-process")
    tokens = point.isl_mean or float(point.isl)
    streams = k.of("stream_s", setup.engine, setup.era) * (point.concurrency or 0)
    return k.of("first_token_s", setup.engine, setup.era) + k.of("tokenize_s") * tokens + streams


def mean(values: list[float]) -> float:
    """Return the mean; 0 of nothing."""
    return sum(values) / max(len(values), 1)
