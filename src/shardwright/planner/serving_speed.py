"""How fast a request's load is served in one layout: from a spec's words to the speed model's.

Called by the search, for every layout that fits, and by `planner/plan.py` for the chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.layout import Layout
from shardwright.model.plan import Speed
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.planner.analytic import estimate, max_requests_per_s
from shardwright.planner.capacity import Room
from shardwright.planner.coefficients import packaged
from shardwright.planner.fit import RUNTIMES
from shardwright.planner.latency import Setup, prepared, run, setting_of
from shardwright.planner.links import DEFAULT_FABRIC
from shardwright.planner.point import SERVICE, Point
from shardwright.planner.scheduling import scheduling_of
from shardwright.planner.steptime import architecture_of

DEFAULT_CONCURRENCY = 16
"""Requests at once where a spec names no load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A quick estimate of one replica's share of the load; times in seconds."""

    ttft_s: float
    itl_s: float
    output_tokens_per_s: float
    is_saturated: bool


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
        tensor_parallel=layout.tensor_parallel,
        pipeline_parallel=layout.pipeline_parallel,
        expert_parallel=layout.expert_parallel,
        max_num_batched_tokens=asked.max_num_batched_tokens,
        max_num_seqs=asked.max_num_seqs,
        kv_cache_dtype=asked.kv_cache_dtype,
        quantization=asked.quantization,
        prefix_hit_rate=min(1.0, load.prefix_tokens / max(load.input_tokens, 1)),
        window=SERVICE,
    )


def setup_for(request: Request, shape: ModelShape, layout: Layout, kv_tokens: int) -> Setup:
    """Tabulate the step times of one layout whose KV cache is known."""
    setting = setting_of(
        point_of_request(request, layout),
        shape,
        fabric=request.cluster.fabric or DEFAULT_FABRIC,
        gpus_per_node=request.cluster.gpus_per_node,
    )
    return prepared(setting, shape, packaged(), Room(tokens=kv_tokens))


def quick(request: Request, layout: Layout, setup: Setup) -> Estimated:
    """Estimate in closed form. Stages take turns on as many batches, so each serves its share."""
    point = point_of_request(request, layout)
    stages, isl, osl = point.pipeline_parallel, float(point.isl), float(point.osl)
    isl *= 1 - point.prefix_hit_rate
    sched = scheduling_of(point, setup.engine, setup.gpu.id, architecture_of(setup.gpu))
    fits = max(1, min(sched.max_num_seqs, int(setup.capacity / (isl + osl / 2))))
    most = max(1, fits // stages)
    ceiling = max_requests_per_s(setup.table, isl, osl, sched.token_budget, most) * stages
    if point.request_rate:
        n = most
        for _ in range(3):  # Little's law: sequences in the system at this rate
            e = estimate(setup.table, n, isl, osl, sched.token_budget)
            stay = float(e.ttft_s[0] + (osl - 1) * e.tpot_s[0])
            n = max(1, min(most, round(point.request_rate * stay / stages)))
        saturated = point.request_rate > ceiling
    else:
        n = max(1, min(most, -(-(point.concurrency or 1) // stages)))
        saturated = (point.concurrency or 1) > fits
    e = estimate(setup.table, n, isl, osl, sched.token_budget)
    return Estimated(
        ttft_s=float(e.ttft_s[0]),
        itl_s=float(e.tpot_s[0]),
        output_tokens_per_s=float(e.requests_per_s[0]) * osl * stages * layout.replicas,
        is_saturated=saturated,
    )


def simulated(request: Request, layout: Layout, setup: Setup) -> Speed:
    """Replay the load, tails at the objective's percentile.

    Inter-token latency is a request's mean gap and its percentile one over requests, as load
    testers that judge an objective (AIPerf, GenAI-Perf) define it.
    """
    point = point_of_request(request, layout)
    found = run(point, setup, packaged(), request.slo.percentile)
    total = found.output_tokens_per_s * layout.replicas
    return Speed(
        ttft_s=found.ttft_s,
        ttft_percentile_s=found.ttft_tail_s,
        itl_s=found.tpot_s,
        itl_percentile_s=found.tpot_tail_s,
        output_tokens_per_s=total,
        output_tokens_per_s_per_gpu=total / layout.num_gpus,
        is_saturated=found.is_saturated,
        origin=found.origin,
    )
