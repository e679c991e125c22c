"""The best layout for a request: meet the objective at least cost, and say why not the others.

All layouts that fit are estimated in closed form; the most promising ones are replayed on the
engine's scheduler, and the first that keeps the limits is chosen. With the load free, loads are
chosen too. Without limits: the cheapest that holds the load, then the fastest of these. Where none
holds it: the one that serves most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shardwright.facts.gpus import gpu
from shardwright.model.layout import Layout
from shardwright.model.plan import Alternative, Basis, Rejected, Speed
from shardwright.model.request import Slo
from shardwright.planner.bases import Ask
from shardwright.planner.fit import RUNTIMES
from shardwright.planner.front import pareto
from shardwright.planner.margin import tightened
from shardwright.planner.objective import Objective, excess, kept
from shardwright.planner.pool import CROSSING_DOUBT, Candidate, Pool, pool_of
from shardwright.planner.reasons import turned_down, yields_less
from shardwright.planner.serving_speed import curve, simulated

MAX_REPLAYS = 10
"""Layouts shown to the scheduler replay before the best estimate is taken."""
RIVALS = 6
"""Layouts no dearer than the chosen one that are replayed too, so that figures compare."""
PROMISING = 1.6
"""A layout estimated worse than this times the objective is not replayed."""
LIGHTER = 0.85
"""A load whose replay misses a limit is lightened by this factor, some times."""
MOST_LIGHTER = 6

Seen = dict[tuple[Basis, Layout], Speed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search ends with. chosen None: nothing fits. meets_slo: as replayed."""

    chosen: Candidate | None
    speed: Speed | None
    meets_slo: bool
    rejected: tuple[Rejected, ...]
    front: tuple[Alternative, ...]


def search(
    asks: Sequence[Ask], objective: Objective = Objective.COST, *, limits: Slo | None = None
) -> Found:
    """Choose a basis and a layout, within what the user pins.

    limits: what a prediction must keep; the request's own objective if left out. They are tighter
    where predictions are known to err.
    """
    pool = pool_of(asks)
    limits = limits or _limits(asks)
    seen: Seen = {}
    if objective is Objective.THROUGHPUT:
        pool = replace(pool, candidates=_loaded(pool, limits))
        pool.candidates.sort(key=lambda c: (-_yield(c, pool), c.layout.num_gpus))
        chosen = _most_yield(pool, limits, seen)
    else:
        pool.candidates.sort(key=lambda c: _order(c, pool))
        chosen = _first_that_keeps(pool, limits, seen)
    rejected: list[Rejected] = pool.rejected
    if chosen is not None:
        rest = [c for c in pool.candidates if c.key != chosen.key]
        if objective is Objective.THROUGHPUT:
            rejected = [yields_less(c, chosen, pool) for c in rest]
        else:
            _replay_rivals(pool, chosen, seen)
            rejected = [turned_down(c, chosen, pool, seen) for c in rest]
        # what nearly won first, what hardly exists last
        rejected += sorted(pool.rejected, key=_remoteness)
    speed = seen[chosen.key] if chosen else None
    return Found(
        chosen=chosen,
        speed=speed,
        meets_slo=speed is not None and kept(limits, speed),
        rejected=tuple(rejected),
        front=pareto(pool.loads),
    )


def _limits(asks: Sequence[Ask]) -> Slo:
    """Return the request's limits, tightened by what predictions err on the pairs asked about."""
    pairs = {(gpu(a.basis.gpu).id, RUNTIMES.get(a.basis.engine, a.basis.engine)) for a in asks}
    return tightened(asks[0].request.slo, pairs) if asks else Slo()


def _order(c: Candidate, pool: Pool) -> tuple[float, ...]:
    """Money first, then how long a request takes, then how deep the layout is."""
    doubt = CROSSING_DOUBT if c.crosses_nodes else 1.0
    return (c.guess.is_saturated, pool.money(c), doubt * c.guess.itl_s, c.layout.pipeline_parallel)


def _replayed(c: Candidate, seen: Seen) -> Speed:
    if c.key not in seen:
        seen[c.key] = simulated(c.ask.request, c.layout, c.setup)
    return seen[c.key]


def _first_that_keeps(pool: Pool, limits: Slo, seen: Seen) -> Candidate | None:
    """Replay candidates, cheapest first, until one keeps the limits; else take the nearest."""

    def over(c: Candidate) -> float:
        return excess(limits, c.guess.ttft_s, c.guess.itl_s)

    if all(c.guess.is_saturated for c in pool.candidates):
        return _that_serves_most(pool, seen)
    promising = [c for c in pool.candidates if not c.guess.is_saturated and over(c) <= PROMISING]
    nearest: tuple[float, Candidate] | None = None
    for c in promising[:MAX_REPLAYS] or sorted(pool.candidates, key=over)[:3]:
        speed = _replayed(c, seen)
        if kept(limits, speed):
            return c
        far = excess(limits, speed.ttft_percentile_s, speed.itl_percentile_s)
        if nearest is None or far < nearest[0]:
            nearest = far, c
    return nearest[1] if nearest else None


def _that_serves_most(pool: Pool, seen: Seen) -> Candidate | None:
    """Return the layout of most tokens/s where none serves all that is asked."""
    by_rate = sorted(pool.candidates, key=lambda c: -c.guess.output_tokens_per_s)
    return max(by_rate[:RIVALS], key=lambda c: _replayed(c, seen).output_tokens_per_s, default=None)


def _replay_rivals(pool: Pool, chosen: Candidate, seen: Seen) -> None:
    most = 1.0001 * pool.money(chosen)
    rivals = [c for c in pool.candidates if not c.guess.is_saturated and pool.money(c) <= most]
    for c in sorted(rivals, key=lambda c: c.guess.itl_s)[:RIVALS]:
        _replayed(c, seen)


def _loaded(pool: Pool, limits: Slo) -> list[Candidate]:
    """Return each layout at the load of most tokens per second that its estimate keeps."""
    out = []
    for c in pool.candidates:
        if c.layout.replicas > (c.ask.request.parallelism.replicas or 1):
            continue  # copies yield what one does
        at_loads = curve(c.ask.request, c.layout, c.setup)
        estimates = [at_loads.at(i) for i in range(len(at_loads.itl_s))]
        able = [e for e in estimates if excess(limits, e.ttft_s, e.itl_s) <= 1]
        best = max(able or estimates[:1], key=lambda e: e.output_tokens_per_s)
        out.append(replace(_at(c, best.concurrency or 1), guess=best))
    return out


def _at(c: Candidate, concurrency: int) -> Candidate:
    """Return a candidate under another load."""
    load = replace(c.ask.request.workload, concurrency=concurrency, requests_per_s=None)
    return replace(c, ask=replace(c.ask, request=replace(c.ask.request, workload=load)))


def _yield(c: Candidate, pool: Pool) -> float:
    return c.guess.output_tokens_per_s / pool.money(c)


def _most_yield(pool: Pool, limits: Slo, seen: Seen) -> Candidate | None:
    """Replay the layouts of most estimated yield, lightening loads that miss a limit, until no
    estimate is above what a replay has kept.
    """
    best: tuple[float, Candidate] | None = None
    nearest: tuple[float, Candidate] | None = None
    for c in pool.candidates[:MAX_REPLAYS]:
        if best is not None and _yield(c, pool) <= best[0]:
            break
        tried = c
        for _ in range(MOST_LIGHTER):
            speed = simulated(tried.ask.request, tried.layout, tried.setup)
            if kept(limits, speed):
                worth = speed.output_tokens_per_s / pool.money(tried)
                if best is None or worth > best[0]:
                    best, seen[tried.key] = (worth, tried), speed
                break
            far = excess(limits, speed.ttft_percentile_s, speed.itl_percentile_s)
            if nearest is None or far < nearest[0]:
                nearest = far, tried
                if best is None:
                    seen[tried.key] = speed
            tried = _at(tried, max(1, int((tried.ask.request.workload.concurrency or 1) * LIGHTER)))
    found = best or nearest
    return found[1] if found else None


def _remoteness(r: Rejected) -> tuple[int, int, int]:
    order = {"does-not-fit": 0, "ranks-not-even": 2}
    if r.layout is None:
        return (-1, 0, 0)
    return (order.get(r.code, 1), -r.layout.gpus_per_replica, r.layout.pipeline_parallel)
