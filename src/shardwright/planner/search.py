"""The best layout for a request: meet the objective at least cost, and say why not the others.

All layouts that fit are estimated in closed form; the cheapest promising ones are replayed, and
the first that keeps the objective is chosen. Without an objective: the fewest GPUs that hold the
load, then the fastest of these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardwright.engines import Engine
from shardwright.model.layout import Layout
from shardwright.model.plan import Alternative, Rejected, Speed
from shardwright.model.request import Request, Slo
from shardwright.model.shape import ModelShape
from shardwright.planner.candidates import examine, gpu_limit
from shardwright.planner.latency import Setup
from shardwright.planner.memory import MemoryAnswer
from shardwright.planner.serving_speed import Estimated, quick, setup_for, simulated

MAX_REPLAYS = 10
"""Layouts shown to the scheduler replay before the best estimate is taken."""
PROMISING = 1.6
"""A layout estimated worse than this times the objective is not replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A layout with replicas that fits, its memory, its step times and a quick estimate."""

    layout: Layout
    memory: MemoryAnswer
    setup: Setup
    guess: Estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search ends with. chosen None: nothing fits. meets_slo: as replayed."""

    chosen: Candidate | None
    speed: Speed | None
    meets_slo: bool
    rejected: tuple[Rejected, ...]
    front: tuple[Alternative, ...]


def search(request: Request, shape: ModelShape, engine: Engine, max_model_len: int) -> Found:
    """Choose a layout, within what the user pins."""
    fitting, rejected = examine(request, shape, engine, max_model_len)
    pool: list[Candidate] = []
    for fit in fitting:
        setup = setup_for(request, shape, fit.layout, fit.memory.kv_tokens)
        for layout in _replicated(request, fit.layout):
            guess = quick(request, layout, setup)
            pool.append(Candidate(layout=layout, memory=fit.memory, setup=setup, guess=guess))
    pool.sort(key=lambda c: (c.guess.is_saturated, *_cost(c)))
    chosen, speed, meets, missed = _first_that_keeps(request, pool)
    if chosen is not None and speed is not None:
        rest = [_turned_down(c, chosen, request, missed) for c in pool if c is not chosen]
        # what nearly won first, what hardly exists last
        rejected = rest + sorted(rejected, key=_remoteness)
    return Found(
        chosen=chosen,
        speed=speed,
        meets_slo=meets,
        rejected=tuple(rejected),
        front=_pareto(pool),
    )


def _replicated(request: Request, layout: Layout) -> list[Layout]:
    """Return a layout with 1, 2, 4 .. copies as far as GPUs and load allow, or as pinned."""
    if request.parallelism.replicas:
        return [replace(layout, replicas=request.parallelism.replicas)]
    out, copies = [], 1
    most = gpu_limit(request) // layout.gpus_per_replica
    while copies <= min(most, request.workload.concurrency or most):
        out.append(replace(layout, replicas=copies))
        copies *= 2
    return out


def _cost(c: Candidate) -> tuple[float, ...]:
    """GPUs first, then how long a request takes, then how deep the layout is."""
    return (c.layout.num_gpus, c.guess.itl_s, c.layout.pipeline_parallel)


def _excess(slo: Slo, ttft_s: float, itl_s: float) -> float:
    """Return how far over the objective the worse figure is; 1 is just kept."""
    over = [ttft_s / slo.ttft_s if slo.ttft_s else 0.0, itl_s / slo.itl_s if slo.itl_s else 0.0]
    return max(over)


def kept(slo: Slo, speed: Speed) -> bool:
    """Return whether a replayed load keeps the objective."""
    over = _excess(slo, speed.ttft_percentile_s, speed.itl_percentile_s)
    return over <= 1 and not speed.is_saturated


def _first_that_keeps(
    request: Request, pool: list[Candidate]
) -> tuple[Candidate | None, Speed | None, bool, dict[Layout, Speed]]:
    """Replay candidates, cheapest first, until one keeps the objective; else take the nearest."""
    slo, seen = request.slo, dict[Layout, Speed]()
    nearest: tuple[float, Candidate, Speed] | None = None
    promising = [
        c
        for c in pool
        if not c.guess.is_saturated and _excess(slo, c.guess.ttft_s, c.guess.itl_s) <= PROMISING
    ]
    by_estimate = sorted(pool, key=lambda c: _excess(slo, c.guess.ttft_s, c.guess.itl_s))
    for c in promising[:MAX_REPLAYS] or by_estimate[:3]:
        speed = seen[c.layout] = simulated(request, c.layout, c.setup)
        excess = _excess(slo, speed.ttft_percentile_s, speed.itl_percentile_s)
        if kept(slo, speed):
            return c, speed, True, seen
        if nearest is None or excess < nearest[0]:
            nearest = (excess, c, speed)
    if nearest is None:
        return None, None, False, seen
    return nearest[1], nearest[2], False, seen


def _turned_down(
    c: Candidate, chosen: Candidate, request: Request, seen: dict[Layout, Speed]
) -> Rejected:
    """Say in numbers why a layout that fits was not taken."""
    slo, guess = request.slo, c.guess
    real = seen.get(c.layout)
    ttft = real.ttft_percentile_s if real else guess.ttft_s
    itl = real.itl_percentile_s if real else guess.itl_s
    kind = f"at p{slo.percentile:g}" if real else "on average"
    if guess.is_saturated:
        code, reason = "saturated", "the load is more than it can serve: requests would queue"
    elif slo.ttft_s and ttft > slo.ttft_s:
        code = "ttft-missed"
        reason = f"TTFT {ttft * 1e3:,.0f} ms {kind} against {slo.ttft_s * 1e3:,.0f} ms"
    elif slo.itl_s and itl > slo.itl_s:
        code = "itl-missed"
        reason = f"ITL {itl * 1e3:.1f} ms {kind} against {slo.itl_s * 1e3:.1f} ms"
    elif c.layout.num_gpus > chosen.layout.num_gpus:
        code = "costs-more"
        reason = (
            f"{c.layout.num_gpus} GPUs where {chosen.layout.num_gpus} keep the objective; "
            f"ITL {guess.itl_s * 1e3:.1f} ms, TTFT {guess.ttft_s * 1e3:,.0f} ms on average"
        )
    else:
        code = "slower"
        reason = (
            f"ITL {guess.itl_s * 1e3:.1f} ms on average against "
            f"{chosen.guess.itl_s * 1e3:.1f} ms of {chosen.layout}{_link(c, chosen)}"
        )
    return Rejected(layout=c.layout, code=code, reason=reason)


def _remoteness(r: Rejected) -> tuple[int, int, int]:
    order = {"does-not-fit": 0, "ranks-not-even": 2}
    return (order.get(r.code, 1), -r.layout.gpus_per_replica, r.layout.pipeline_parallel)


def _link(c: Candidate, chosen: Candidate) -> str:
    """Name the slow link where tensor parallelism crosses it and the chosen layout does not."""
    mine, other = c.setup.tensor_link, chosen.setup.tensor_link
    if mine.name == other.name:
        return ""
    return (
        f"; its all-reduces cross {mine.name} at {mine.bytes_per_s / 1e9:.0f} GB/s and "
        f"{mine.latency_s * 1e6:.0f} us, not {other.name}"
    )


def _pareto(pool: list[Candidate]) -> tuple[Alternative, ...]:
    """Layouts that no other beats in tokens/s per GPU and per user at once."""
    points = [
        Alternative(
            layout=c.layout,
            output_tokens_per_s_per_gpu=c.guess.output_tokens_per_s / c.layout.num_gpus,
            output_tokens_per_s_per_user=1 / c.guess.itl_s,
            ttft_s=c.guess.ttft_s,
        )
        for c in pool
        if not c.guess.is_saturated
    ]
    points.sort(key=lambda a: (-a.output_tokens_per_s_per_user, -a.output_tokens_per_s_per_gpu))
    front: list[Alternative] = []
    for a in points:
        if not front or a.output_tokens_per_s_per_gpu > front[-1].output_tokens_per_s_per_gpu:
            front.append(a)
    return tuple(front)
