"""From a request and a model's shape to a plan. The entry point of this room."""

from __future__ import annotations

from dataclasses import replace

from shardwright.engines import find_engine
from shardwright.facts.gpus import gpu
from shardwright.model.finding import Finding, Severity
from shardwright.model.layout import Layout, stages_of
from shardwright.model.plan import Plan, Rejected, Speed
from shardwright.model.request import Parallelism, Request, Workload
from shardwright.model.shape import ModelShape
from shardwright.planner.cost import cost_of
from shardwright.planner.fit import fit
from shardwright.planner.layouts import choose_layout, num_nodes_per_replica
from shardwright.planner.memory import MemoryAnswer
from shardwright.planner.search import kept, search
from shardwright.planner.serving_speed import setup_for, simulated

LEAST_MODEL_LEN = 8192


def make_plan(request: Request, shape: ModelShape) -> Plan:
    """Decide the layout and what follows from it. Raises ShardwrightError on an impossible pin."""
    engine = find_engine(request.engine.name)
    length = request.engine.max_model_len or default_max_model_len(
        request.workload, shape.max_position_embeddings
    )
    pinned = request.parallelism
    if pinned.tensor and pinned.pipeline:
        layout = choose_layout(request, shape, engine)
        return _pinned(request, shape, layout, length)
    found = search(request, shape, engine, length)
    if found.chosen is None:
        layout = choose_layout(request, shape, engine)
        made = _pinned(request, shape, layout, length)
        return replace(made, rejected=found.rejected)
    made = _plan(request, shape, found.chosen.layout, length, found.chosen.memory, found.speed)
    return replace(made, rejected=found.rejected, front=found.front)


def alternatives(request: Request, shape: ModelShape) -> tuple[Rejected, ...]:
    """Return every layout that was not taken, with its reason, whatever the user pins: what
    `shardwright plan --why` looks in.
    """
    free = replace(request, parallelism=Parallelism())
    length = request.engine.max_model_len or default_max_model_len(
        request.workload, shape.max_position_embeddings
    )
    found = search(free, shape, find_engine(request.engine.name), length)
    if found.chosen is None:
        return found.rejected
    best = Rejected(
        layout=found.chosen.layout, code="chosen", reason="the one we would choose, unpinned"
    )
    return (best, *found.rejected)


def _pinned(request: Request, shape: ModelShape, layout: Layout, length: int) -> Plan:
    """Return the plan of a layout nobody had to choose."""
    memory = fit(request, shape, layout, length)
    speed = None
    if memory.fits and gpu(request.cluster.gpu).bf16_flops:
        setup = setup_for(request, shape, layout, memory.kv_tokens)
        speed = simulated(request, layout, setup)
    return _plan(request, shape, layout, length, memory, speed)


def _plan(
    request: Request,
    shape: ModelShape,
    layout: Layout,
    length: int,
    memory: MemoryAnswer,
    speed: Speed | None,
) -> Plan:
    engine = find_engine(request.engine.name)
    rate = speed.output_tokens_per_s if speed and not speed.is_saturated else None
    return Plan(
        layout=layout,
        stages=stages_of(engine.split_layers(shape.num_layers, layout.pipeline_parallel)),
        num_nodes=layout.replicas * num_nodes_per_replica(layout, request.cluster.gpus_per_node),
        max_model_len=length,
        fits=memory.fits,
        memory=memory.ranks,
        kv_tokens=memory.kv_tokens,
        speed=speed,
        cost=cost_of(gpu(request.cluster.gpu).id, layout.num_gpus, output_tokens_per_s=rate),
        findings=(*shape.findings, *_missed(request, speed)),
    )


def _missed(request: Request, speed: Speed | None) -> tuple[Finding, ...]:
    """Return a finding where the objective is not kept, with what the nearest layout gives."""
    slo = request.slo
    if speed is None or kept(slo, speed):
        return ()
    what = (
        f"the objective is missed: at p{slo.percentile:g} TTFT is "
        f"{speed.ttft_percentile_s * 1e3:,.0f} ms and ITL {speed.itl_percentile_s * 1e3:.1f} ms"
    )
    return (
        Finding(
            code="objective-missed",
            severity=Severity.WARNING,
            what=what,
            why="the load was replayed on the engine's scheduler over calibrated step times",
            remedy="allow more nodes, a faster GPU or a quantized checkpoint, lower "
            "maxNumBatchedTokens if ITL is what misses, or relax spec.slo",
        ),
    )


def default_max_model_len(workload: Workload, max_position_embeddings: int) -> int:
    """Room for four times the asked request, at least 8192 tokens, at most the model's own limit.

    >>> default_max_model_len(Workload(input_tokens=4096, output_tokens=512), 131072)
    18432
    """
    asked = workload.input_tokens + workload.output_tokens
    return min(max(4 * asked, LEAST_MODEL_LEN), max_position_embeddings)
