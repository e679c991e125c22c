"""What a plan's reader should know beside its numbers: limits missed, networks crossed, formats."""

from __future__ import annotations

from shardwright.facts.gpus import gpu
from shardwright.facts.recovery import recovery
from shardwright.model.finding import Finding, Severity
from shardwright.model.plan import Plan
from shardwright.planner.bases import Ask
from shardwright.planner.coefficients import local_fit
from shardwright.planner.fit import RUNTIMES
from shardwright.planner.objective import kept


def remarks(ask: Ask, plan: Plan, meets_slo: bool) -> tuple[Finding, ...]:
    """Return the findings of a plan. meets_slo: it keeps the limits with the margin of error."""
    found = [_missed(ask, plan), _crossing(ask, plan), _checkpoint(ask), _calibrated(plan)]
    del meets_slo
    return tuple(f for f in found if f is not None)


def _missed(ask: Ask, plan: Plan) -> Finding | None:
    """Say that the objective is not kept, with what this layout gives."""
    slo, speed = ask.request.slo, plan.speed
    if speed is None or kept(slo, speed):
        return None
    limits = [f"TTFT {slo.ttft_s * 1e3:,.0f} ms"] if slo.ttft_s else []
    limits += [f"ITL {slo.itl_s * 1e3:.1f} ms"] if slo.itl_s else []
    against = f", the limit is {' and '.join(limits)}" if limits else ""
    queues = "; more is asked than it can serve, requests queue" if speed.is_saturated else ""
    return Finding(
        code="objective-missed",
        severity=Severity.WARNING,
        what=f"the objective is missed: at p{slo.percentile:g} TTFT is "
        f"{speed.ttft_percentile_s * 1e3:,.0f} ms and ITL "
        f"{speed.itl_percentile_s * 1e3:.1f} ms{against}{queues}",
        why="the load was replayed on the engine's scheduler over calibrated step times",
        remedy="allow more nodes, a faster GPU or a quantized checkpoint, lower "
        "maxNumBatchedTokens if ITL is what misses, or relax spec.slo",
    )


def _crossing(ask: Ask, plan: Plan) -> Finding | None:
    """Say with numbers why tensor parallelism crosses nodes, where it was found to be better."""
    layout, node = plan.layout, ask.request.cluster.gpus_per_node
    if layout.tensor_parallel <= node or plan.speed is None:
        return None
    inside = [
        r
        for r in plan.rejected
        if r.layout is not None
        and r.layout.tensor_parallel <= node
        and r.layout.gpus_per_replica == layout.gpus_per_replica
        and r.code not in {"does-not-fit", "ranks-not-even"}
    ]
    if not inside:
        return None
    rival = inside[0]
    return Finding(
        code="tensor-parallel-crosses-nodes",
        severity=Severity.NOTE,
        what=f"TP={layout.tensor_parallel} crosses {plan.num_nodes // layout.replicas} nodes: its "
        f"all-reduces use {ask.request.cluster.fabric or 'the default fabric'}, and it is still "
        f"better than {rival.layout}, whose {rival.reason}",
        why="more ranks read the weights at once; the network costs less than that saves",
    )


_NEEDS_CHECKPOINT = frozenset({"awq", "gptq", "nvfp4", "mxfp4", "int4", "int8"})
"""Formats that are made offline; FP8 of a 16-bit checkpoint is made while weights load."""


def _checkpoint(ask: Ask) -> Finding | None:
    """Say what a quantization asked of the engine needs, and what it is known to cost."""
    asked = ask.basis.quantization
    if not asked:
        return None
    known = recovery(ask.request.model.id, asked)
    price = str(known) if known else "unknown: no published figure of this very model"
    need = ""
    if asked in _NEEDS_CHECKPOINT:
        need = f"{asked} needs a checkpoint made in it: name that one in spec.model.id; "
    return Finding(
        code="quantized",
        severity=Severity.NOTE,
        what=f"{need}accuracy kept under {asked}: {price}",
    )


def _calibrated(plan: Plan) -> Finding | None:
    """Say that the speed rests on the user's own measurements too."""
    if plan.speed is None or plan.basis is None:
        return None
    fit = local_fit(gpu(plan.basis.gpu).id, RUNTIMES.get(plan.basis.engine, plan.basis.engine))
    if fit is None:
        return None
    return Finding(
        code="locally-calibrated",
        severity=Severity.NOTE,
        what=f"speed calibrated on {fit.num_points} points of yours, {fit.date}",
        remedy="--no-local-calibration predicts as shipped",
    )
