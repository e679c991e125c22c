"""What would change a plan: fewer GPUs, 8-bit weights, an 8-bit KV cache, longer prompts."""

from __future__ import annotations

from dataclasses import replace

from shardwright.facts.gpus import gpu
from shardwright.facts.recovery import recovery
from shardwright.model.finding import Finding, Severity
from shardwright.model.layout import Layout
from shardwright.model.plan import Plan
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.model.units import gib
from shardwright.planner.fit import fit, least_layout, memory_question
from shardwright.planner.memory import predict
from shardwright.planner.serving_speed import setup_for, simulated
from shardwright.shape.kvcache import kv_bytes_per_token


def changes(request: Request, shape: ModelShape, plan: Plan) -> tuple[str, ...]:
    """Return sentences that say what one change to the request would do, each with its numbers."""
    found = [_smaller(request, shape, plan), _fp8_weights(request, shape, plan)]
    if plan.fits:
        found.append(_fp8_cache(request, shape, plan))
    else:
        found.insert(0, _least(request, shape, plan))
    return tuple(sentence for sentence in found if sentence)


def unfit(request: Request, shape: ModelShape, plan: Plan) -> Finding | None:
    """Say that a plan does not fit, and what would; None if it does."""
    if plan.fits:
        return None
    return Finding(
        code="does-not-fit",
        severity=Severity.ERROR,
        what=f"{plan.layout} does not fit on {request.cluster.gpu}: the engine would not start",
        why=(
            f"weights and runtime leave room for {plan.kv_tokens or 0:,} KV tokens; one request"
            f" takes {plan.max_model_len:,}"
        ),
        remedy=_least(request, shape, plan) or "ask `shardwright plan` what would change it",
    )


def _least(request: Request, shape: ModelShape, plan: Plan) -> str:
    free = replace(request, cluster=replace(request.cluster, nodes=None))
    least = least_layout(free, shape, plan.max_model_len)
    if least is None:
        return ""
    layout, answer = least
    return (
        f"{layout} ({layout.gpus_per_replica} GPUs) is the least that fits, with room for "
        f"{answer.kv_tokens:,} KV tokens"
    )


def _smaller(request: Request, shape: ModelShape, plan: Plan) -> str:
    """Say what half the GPUs would do: half the stages, or half the tensor parallelism."""
    now = plan.layout
    if now.pipeline_parallel > 1:
        less = replace(now, pipeline_parallel=now.pipeline_parallel // 2)
    elif now.tensor_parallel > 1:
        less = replace(now, tensor_parallel=now.tensor_parallel // 2)
    else:
        return ""
    answer = fit(request, shape, less, plan.max_model_len)
    if not answer.fits:
        return (
            f"{less} is {gib(answer.shortfall_bytes)} per GPU short of one request of "
            f"{plan.max_model_len:,} tokens"
        )
    tokens = answer.kv_tokens * less.data_parallel
    return (
        f"{less} fits as well, on half the GPUs: {tokens:,} KV tokens, room for "
        f"{tokens / plan.max_model_len:.1f} requests of {plan.max_model_len:,}"
        f"{_speed(request, shape, less, answer.kv_tokens) if plan.speed else ''}"
    )


def _speed(request: Request, shape: ModelShape, layout: Layout, kv_tokens: int) -> str:
    """Say how fast the asked load would be served; kv_tokens: of one data-parallel rank."""
    setup = setup_for(request, shape, layout, kv_tokens)
    found = simulated(request, layout, setup)
    if found.is_saturated:
        return "; the asked load would be more than it holds"
    tail = f"p{request.slo.percentile:g}"
    return (
        f"; TTFT {tail} {found.ttft_percentile_s * 1e3:,.0f} ms, "
        f"ITL {tail} {found.itl_percentile_s * 1e3:.1f} ms at the asked load"
    )


def _fp8_weights(request: Request, shape: ModelShape, plan: Plan) -> str:
    if shape.quantization is not None or request.engine.quantization:
        return ""
    if gpu(request.cluster.gpu).fp8_flops is None:
        return ""
    eight = replace(request, engine=replace(request.engine, quantization="fp8"))
    least = least_layout(eight, shape, plan.max_model_len)
    if least is None:
        return ""
    layout, answer = least
    here = fit(eight, shape, plan.layout, plan.max_model_len)
    known = recovery(request.model.id, "fp8")
    kept = f"Accuracy kept: {known}" if known else "What it costs in accuracy is unknown"
    return (
        f"FP8 weights take {gib(here.ranks[0].weights_bytes)} per GPU here; the least layout would "
        f"then be {layout} ({answer.kv_tokens:,} KV tokens). {kept}"
    )


def _fp8_cache(request: Request, shape: ModelShape, plan: Plan) -> str:
    question = memory_question(request, shape, plan.layout, plan.max_model_len)
    if (question.kv_cache_dtype or "auto").startswith("fp8") or not plan.kv_tokens:
        return ""
    tokens = predict(replace(question, kv_cache_dtype="fp8")).kv_tokens * plan.layout.data_parallel
    return f"an FP8 KV cache would hold {tokens:,} tokens instead of {plan.kv_tokens:,}"


def kv_kib_per_token(request: Request, shape: ModelShape, layout: Layout, length: int) -> float:
    """Return KV KiB one token takes on a GPU of the stage that has most layers."""
    question = memory_question(request, shape, layout, length)
    return (
        max(
            kv_bytes_per_token(question.shape, layout, stage, question.kv_cache_dtype)
            for stage in question.stages
        )
        / 1024
    )
