"""How fast a request's load is served in one layout: from a spec's words to the speed model's.

Called by the search, for every layout that fits, and by `planner/plan.py` for the chosen one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shardwright.model.layout import Layout
from shardwright.model.plan import Speed
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.planner.analytic import Estimate, Floats, estimate, max_requests_per_s
from shardwright.planner.capacity import Room as Capacity
from shardwright.planner.coefficients import in_use
from shardwright.planner.deployment import Setup, prepared, setting_of
from shardwright.planner.fit import RUNTIMES
from shardwright.planner.latency import run
from shardwright.planner.links import DEFAULT_FABRIC
from shardwright.planner.point import SERVICE, Point
from shardwright.planner.scheduling import scheduling_of
from shardwright.planner.steptime import StepTable, architecture_of, flat_table

DEFAULT_CONCURRENCY = 16
"""Requests at once where a spec names no load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A quick estimate, of all replicas; times in seconds.

    concurrency: requests at once; None: as an arrival rate brings. prefill_share: part of the GPU
    time that goes into prompts.
    """

    concurrency: int | None
    ttft_s: float
    itl_s: float
    output_tokens_per_s: float
    is_saturated: bool
    prefill_share: float


def point_of_request(request: Request, layout: Layout) -> Point:
    """Return the load that one replica of a layout gets, as a point of the speed model."""
    load, asked = request.workload, request.engine
    concurrency = load.concurrency
    if concurrency is None and not load.requests_per_s:
        concurrency = DEFAULT_CONCURRENCY
    share = layout.replicas
    return Point(
        id=request.name,
        model=request.model.id,
        dtype=asked.dtype or "auto",
        gpu=request.cluster.gpu,
        engine=RUNTIMES.get(asked.name, asked.name),
        engine_version=asked.version,
        isl=load.input_tokens,
        osl=max(load.output_tokens, 2),
        concurrency=-(-concurrency // share) if concurrency else None,
        request_rate=load.requests_per_s / share if load.requests_per_s else None,
        tensor_parallel=layout.tensor_parallel * layout.data_parallel,
        pipeline_parallel=layout.pipeline_parallel,
        expert_parallel=layout.expert_parallel,
        attention_dp=layout.data_parallel,
        max_num_batched_tokens=asked.max_num_batched_tokens,
        max_num_seqs=asked.max_num_seqs,
        kv_cache_dtype=asked.kv_cache_dtype,
        quantization=asked.quantization,
        prefix_hit_rate=min(1.0, load.prefix_tokens / max(load.input_tokens, 1)),
        window=SERVICE,
    )


def setup_for(
    request: Request,
    shape: ModelShape,
    layout: Layout,
    kv_tokens: int,
    flat: dict[Layout, StepTable] | None = None,
) -> Setup:
    """Tabulate the step times of one layout; kv_tokens: of one data-parallel rank. flat: tables of
    this request without stages, by layout; what is missing is added.
    """
    has_copies = shape.moe is None
    if has_copies:
        layout = as_replicas(layout)
    setting = setting_of(
        point_of_request(request, layout),
        shape,
        fabric=request.cluster.fabric or DEFAULT_FABRIC,
        gpus_per_node=request.cluster.gpus_per_node,
    )
    k = in_use(setting.gpu.id, setting.engine)
    room = Capacity(tokens=kv_tokens * layout.data_parallel)
    known = {} if flat is None else flat
    key = replace(layout, pipeline_parallel=1, replicas=1)
    if key not in known:
        known[key] = flat_table(setting, k)
    setup = prepared(setting, shape, k, room, known[key])
    return replace(setup, has_copies=has_copies)


def as_replicas(layout: Layout) -> Layout:
    """Return a layout whose data-parallel ranks count as replicas: without experts to share each is
    a whole engine that gets its part of the load.

    >>> str(as_replicas(Layout(tensor_parallel=4, data_parallel=2, replicas=3)))
    'TP=4 PP=1 x 6 replicas'
    """
    if layout.data_parallel == 1:
        return layout
    return replace(layout, data_parallel=1, replicas=layout.replicas * layout.data_parallel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one replica can hold at this load: sequences of a stage's batch, tokens of a step."""

    point: Point
    most: int
    fits: int
    budget: float


def room_for(request: Request, layout: Layout, setup: Setup) -> Room:
    """Return how many of the asked requests one replica holds at once."""
    if setup.has_copies:
        layout = as_replicas(layout)
    point = point_of_request(request, layout)
    sched = scheduling_of(point, setup.engine, setup.gpu.id, architecture_of(setup.gpu))
    held = point.isl * (1 - point.prefix_hit_rate) + point.osl / 2
    fits = max(1, min(sched.max_num_seqs, int(setup.capacity / held)))
    return Room(
        point=point,
        most=max(1, fits // point.pipeline_parallel),
        fits=fits,
        budget=float(sched.token_budget),
    )


def quick(request: Request, layouts: Sequence[Layout], setup: Setup) -> list[Estimated]:
    """Estimate in closed form layouts that differ in replicas alone.

    Stages take turns on as many batches, so each serves its share.
    """
    if setup.has_copies:
        layouts = [as_replicas(x) for x in layouts]
    room = room_for(request, replace(layouts[0], replicas=1), setup)
    load, copies = request.workload, np.array([x.replicas for x in layouts])
    stages = room.point.pipeline_parallel
    if load.requests_per_s:
        rate = load.requests_per_s / copies
        n = np.full(len(layouts), float(room.most))
        for _ in range(3):  # Little's law: sequences in the system at this rate
            e = _closed(setup, room, n)
            stay = e.ttft_s + (room.point.osl - 1) * e.tpot_s
            n = np.clip(np.round(rate * stay / stages), 1, room.most)
        isl = room.point.isl * (1 - room.point.prefix_hit_rate)
        ceiling = max_requests_per_s(
            setup.table, isl, room.point.osl, room.budget, room.most, stages
        )
        saturated = rate > ceiling * stages
        at_once = None
    else:
        at_once = load.concurrency or DEFAULT_CONCURRENCY
        share = -(-at_once // copies)
        n = np.clip(-(-share // stages), 1, room.most).astype(float)
        saturated = share > room.fits
    e = _closed(setup, room, n)
    return [
        _estimated(e, i, at_once, room, layout, bool(saturated[i]))
        for i, layout in enumerate(layouts)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One layout at loads from one request to as many as fit; arrays of one length."""

    concurrency: Floats
    ttft_s: Floats
    itl_s: Floats
    output_tokens_per_s: Floats
    prefill_share: Floats

    def at(self, i: int) -> Estimated:
        """Return one load."""
        return Estimated(
            concurrency=int(self.concurrency[i]),
            ttft_s=float(self.ttft_s[i]),
            itl_s=float(self.itl_s[i]),
            output_tokens_per_s=float(self.output_tokens_per_s[i]),
            is_saturated=False,
            prefill_share=float(self.prefill_share[i]),
        )


_OCTAVES = np.unique(np.round(2.0 ** np.arange(0, 14.01, 0.25)))


def curve(request: Request, layout: Layout, setup: Setup) -> Curve:
    """Estimate one layout at every load, four per octave."""
    if setup.has_copies:
        layout = as_replicas(layout)
    room = room_for(request, layout, setup)
    n = _OCTAVES[: np.searchsorted(_OCTAVES, room.most, "right")]
    e = _closed(setup, room, n)
    copies = room.point.pipeline_parallel * layout.replicas
    return Curve(
        concurrency=n * copies,
        ttft_s=e.ttft_s,
        itl_s=e.tpot_s,
        output_tokens_per_s=e.requests_per_s * (copies * room.point.osl),
        prefill_share=e.prefill_share,
    )


def _closed(setup: Setup, room: Room, n: Floats) -> Estimate:
    p = room.point
    isl = p.isl * (1 - p.prefix_hit_rate)
    return estimate(setup.table, n, isl, float(p.osl), room.budget, p.pipeline_parallel)


def _estimated(
    e: Estimate, i: int, at_once: int | None, room: Room, layout: Layout, is_saturated: bool
) -> Estimated:
    p = room.point
    served = float(e.requests_per_s[i]) * p.pipeline_parallel * layout.replicas
    return Estimated(
        concurrency=at_once,
        ttft_s=float(e.ttft_s[i]),
        itl_s=float(e.tpot_s[i]),
        output_tokens_per_s=served * p.osl,
        is_saturated=is_saturated,
        prefill_share=float(e.prefill_share[i]),
    )


def simulated(request: Request, layout: Layout, setup: Setup) -> Speed:
    """Replay the load, tails at the objective's percentile.

    Inter-token latency is a request's mean gap and its percentile one over requests, as load
    testers that judge an objective (AIPerf, GenAI-Perf) define it.
    """
    if setup.has_copies:
        layout = as_replicas(layout)
    point = point_of_request(request, layout)
    k = in_use(setup.gpu.id, setup.engine)
    found = run(point, setup, k, request.slo.percentile)
    total = found.output_tokens_per_s * layout.replicas
    load = request.workload
    return Speed(
        ttft_s=found.ttft_s,
        ttft_percentile_s=found.ttft_tail_s,
        itl_s=found.tpot_s,
        itl_percentile_s=found.tpot_tail_s,
        output_tokens_per_s=total,
        output_tokens_per_s_per_gpu=total / layout.num_gpus,
        is_saturated=found.is_saturated,
        origin=found.origin,
        concurrency=None if load.requests_per_s else load.concurrency or DEFAULT_CONCURRENCY,
        prefill_share=quick(request, [layout], setup)[0].prefill_share,
    )
