"""Memory of every rank, and the KV cache that is left: what an engine will log at start.

One rule per engine; all cut weights alike (`shardwright.shape.split`), and differ in what they set
aside and in what they call their share. Sources: vLLM v1/worker/gpu_worker.py and the profile runs
of both model runners; SGLang server_args.py; TensorRT-LLM's KvCacheConfig.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shardwright.facts.gpus import Gpu
from shardwright.model.errors import usage_error
from shardwright.model.layout import Layout, Stage
from shardwright.model.origin import Origin, weakest
from shardwright.model.plan import RankMemory
from shardwright.model.shape import Cut, Layer, ModelShape
from shardwright.model.units import GIB
from shardwright.planner.limits import (
    TRTLLM_LIMITS,
    Limits,
    Version,
    sglang_limits,
    version_of,
    vllm_limits,
)
from shardwright.planner.overheads import Overheads, overheads
from shardwright.shape.kvcache import kv_layout, kv_tokens
from shardwright.shape.split import ceil_div, dtype_bytes, rank_tensor, stage_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryQuestion:
    """One model, cut one way, on one GPU type, under one engine; None: the engine's default.

    utilization: vLLM's gpu_memory_utilization, SGLang's mem_fraction_static, TensorRT-LLM's
    free_gpu_memory_fraction.
    """

    shape: ModelShape
    layout: Layout
    stages: tuple[Stage, ...]
    gpu: Gpu
    engine: str = "vllm"
    version: str | None = None
    utilization: float | None = None
    max_model_len: int | None = None
    kv_cache_dtype: str | None = None
    dtype: str | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None

    @property
    def element_bytes(self) -> int:
        """Bytes of one unquantized weight or activation."""
        return dtype_bytes(self.dtype or self.shape.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAnswer:
    """Memory of the fullest rank of each stage, and the KV cache in tokens as the engine logs it.

    shortfall_bytes: what is missing on the worst rank for one request of max_model_len; 0 if it
    fits.
    """

    ranks: tuple[RankMemory, ...]
    kv_tokens: int
    shortfall_bytes: int
    origin: Origin

    @property
    def fits(self) -> bool:
        """Whether one request of the longest allowed length can be served."""
        return self.shortfall_bytes == 0 and self.kv_tokens > 0

    @property
    def tightest(self) -> RankMemory:
        """The rank with least KV cache."""
        return min(self.ranks, key=lambda r: r.kv_cache_bytes)


def predict(question: MemoryQuestion) -> MemoryAnswer:
    """Predict the memory of every stage's fullest rank and the KV cache in tokens."""
    try:
        rule = RULES[question.engine]
    except KeyError:
        raise usage_error(
            "unknown-engine", f"{question.engine!r} is no engine we have a memory rule for",
            remedy=f"use one of {', '.join(RULES)}",
        ) from None  # fmt: skip
    ranks = _per_stage(rule, question)
    kv = kv_layout(
        question.shape, question.layout, question.stages,
        kv_cache_dtype=question.kv_cache_dtype, dtype=question.dtype,
    )  # fmt: skip
    max_len = question.max_model_len or question.shape.max_position_embeddings
    have = [rank.kv_cache_bytes for rank in ranks]
    tokens = kv_tokens(kv, have, max_model_len=max_len, in_flight_tokens=_in_flight(question))
    return MemoryAnswer(
        ranks=ranks,
        kv_tokens=tokens,
        shortfall_bytes=_shortfall(kv.block_bytes, len(kv.groups), kv.block_tokens, have, max_len),
        origin=weakest(*(rank.origin for rank in ranks)),
    )


def _per_stage(
    rule: Callable[[MemoryQuestion, Stage], RankMemory], question: MemoryQuestion
) -> tuple[RankMemory, ...]:
    """Ask the rule once for stages of the same layers: inner ones differ by their number alone."""
    layers, known = question.shape.layers, dict[tuple[bool, bool, tuple[int, ...]], RankMemory]()
    out = []
    for stage in question.stages:
        held = layers[stage.first_layer : stage.first_layer + stage.num_layers]
        key = (
            stage.first_layer == 0,
            stage.last_layer == question.shape.num_layers - 1,
            tuple(id(layer.tensors) for layer in held),
        )
        if key not in known:
            known[key] = rule(question, stage)
        out.append(replace(known[key], stage=stage.index))
    return tuple(out)


def _shortfall(
    block_bytes: Sequence[int], num_groups: int, block_tokens: int, have: Sequence[int], length: int
) -> int:
    """Return what the worst stage lacks for one request of full length, windows not spared."""
    blocks = ceil_div(length, block_tokens) * max(num_groups, 1)
    return max(0, *(size * blocks - bytes_ for size, bytes_ in zip(block_bytes, have, strict=True)))


NEWEST_VLLM: Version = (0, 33)
GROUP_AWARE_SINCE: Version = (0, 28)
ASYNC_BATCHES = 2
"""Batches in flight under asynchronous scheduling without pipeline stages."""


def _in_flight(question: MemoryQuestion) -> int | None:
    if question.engine != "vllm":
        return None
    version = version_of(question.version, NEWEST_VLLM)
    if version < GROUP_AWARE_SINCE:
        return None
    stages = question.layout.pipeline_parallel
    batches = ASYNC_BATCHES if stages == 1 else stages + 1
    return batches * _limits(question, vllm_limits(question.gpu, version)).max_num_batched_tokens


def _limits(question: MemoryQuestion, default: Limits) -> Limits:
    return Limits(
        max_num_batched_tokens=question.max_num_batched_tokens or default.max_num_batched_tokens,
        max_num_seqs=question.max_num_seqs or default.max_num_seqs,
    )


def _vllm(question: MemoryQuestion, stage: Stage) -> RankMemory:
    version = version_of(question.version, NEWEST_VLLM)
    known = overheads(version)
    utilization = question.utilization or (0.92 if version >= (0, 20) else 0.9)
    limits = _limits(question, vllm_limits(question.gpu, version))
    weights = _weights(question, stage)
    activation = activation_bytes(question, stage, limits, known)
    runtime = round(_runtime_gib(question.layout, known) * GIB)
    graphs = _graph_bytes(stage, limits, known)
    budget = int(question.gpu.memory_bytes * utilization)
    taken = weights + activation + runtime + round(graphs * known.graph_share)
    return RankMemory(
        stage=stage.index,
        total_bytes=question.gpu.memory_bytes,
        budget_bytes=budget,
        weights_bytes=weights,
        activation_bytes=activation,
        graphs_bytes=graphs,
        runtime_bytes=runtime,
        kv_cache_bytes=budget - taken,
        origin=weakest(
            question.shape.origin,
            question.gpu.memory_origin,
            Origin.MODELLED if known.is_measured else Origin.ASSUMED,
        ),
    )


def _weights(question: MemoryQuestion, stage: Stage) -> int:
    return stage_weights(question.shape, question.layout, stage, dtype=question.dtype).total


def _runtime_gib(layout: Layout, known: Overheads) -> float:
    if layout.tensor_parallel > 1:
        return known.group_gib
    return known.staged_gib if layout.pipeline_parallel > 1 else known.single_gib


GRAPH_REFERENCE_SEQS = 1024


def _graph_bytes(stage: Stage, limits: Limits, known: Overheads) -> int:
    """Return what CUDA graphs take; fewer sequences capture fewer and smaller graphs.

    At 256 sequences instead of 1024 a measured capture took 0.59 instead of 0.98 GiB (Llama-3.1-8B,
    vLLM 0.25.1), close to this line in the layers of the stage.
    """
    full = known.graph_base_gib + known.graph_layer_gib * stage.num_layers
    fewer = min(1.0, limits.max_num_seqs / GRAPH_REFERENCE_SEQS)
    return round(full * (0.47 + 0.53 * fewer) * GIB)


def activation_bytes(
    question: MemoryQuestion, stage: Stage, limits: Limits, known: Overheads
) -> int:
    """Return the peak activation the profile run sees on one rank of a stage.

    The greatest of three: compiling the embedding (its table once more, and two residual streams);
    the widest layer on a full batch (gate, up and their product, query, key and value, two
    streams); sampling max_num_seqs rows over the vocabulary, on the last stage.
    """
    shape, width = question.shape, question.element_bytes
    tokens = limits.max_num_batched_tokens
    stream = tokens * shape.hidden_size * width
    layers = shape.layers[stage.first_layer : stage.first_layer + stage.num_layers]
    widest = max(_layer_elements(layer, question) for layer in {id(x): x for x in layers}.values())
    peaks = [tokens * widest * width + 2 * stream]
    if stage.first_layer == 0:
        table = sum(rank_tensor(t, question.layout, width).num_bytes for t in shape.first)
        peaks.append(table + 2 * stream)
    if stage.last_layer == shape.num_layers - 1:
        logits = min(limits.max_num_seqs, tokens) * shape.vocab_size
        # figures are for 16-bit logits; wider ones are kept beside their 32-bit copy
        per_logit = (known.sampler_bytes_per_logit or 4) + width - 2
        peaks.append(round(logits * per_logit + known.sampler_base_gib * GIB) + stream)
    encoder = stream if shape.is_multimodal and stage.first_layer == 0 else 0
    return max(peaks) + encoder


ROUTED_STREAMS = 3
"""Hidden-width buffers per routed token: its permuted input, its output and their sum's partner."""


def _layer_elements(layer: Layer, question: MemoryQuestion) -> int:
    """Return the elements per token that one layer holds at its peak beside the residual."""
    attention = inner = routed = 0
    for tensor in layer.tensors:
        held = rank_tensor(tensor, question.layout, question.element_bytes)
        name = tensor.name.rpartition(".")[2]
        if not tensor.is_linear:
            continue
        if tensor.cut in (Cut.ROWS, Cut.KV_HEADS) and "proj" in name:
            if tensor.is_routed:
                routed += held.rows
            elif name in {"gate_proj", "up_proj"}:
                inner += held.rows
            else:
                attention += held.rows
    # the product of gate and up is as wide as either of them
    total = attention + inner + inner // 2
    moe = question.shape.moe
    if routed and moe:
        wide = moe.latent_size or question.shape.hidden_size
        total += moe.experts_per_token * (routed + routed // 2 + ROUTED_STREAMS * wide)
    return total


SGLANG_GRAPH_MIB_PER_SEQ = 2
SGLANG_LEAST_RESERVE_MIB = 10240


def _sglang(question: MemoryQuestion, stage: Stage) -> RankMemory:
    """Weights and KV cache share mem_fraction_static of the memory free at start.

    Source of the default fraction: SGLang 0.5.23, arg_groups/memory_hook.py.
    """
    limits = _limits(question, sglang_limits(question.gpu))
    ranks = question.layout.tensor_parallel * question.layout.pipeline_parallel
    total_mib = question.gpu.memory_bytes / 2**20
    reserved = (
        512
        + max(limits.max_num_batched_tokens, 2048) * 1.5
        + ranks / 8 * 1024
        + limits.max_num_seqs * SGLANG_GRAPH_MIB_PER_SEQ
    )
    if total_mib > 60 * 1024:
        reserved = max(reserved, SGLANG_LEAST_RESERVE_MIB)
    fraction = question.utilization or round((total_mib - reserved) / total_mib, 3)
    known = overheads(NEWEST_VLLM)
    runtime = round(_runtime_gib(question.layout, known) * GIB)
    weights = _weights(question, stage)
    free = question.gpu.memory_bytes - runtime
    kv = int(free * fraction) - weights
    rest = question.gpu.memory_bytes - runtime - weights - max(kv, 0)
    graphs = min(max(rest, 0), round(limits.max_num_seqs * SGLANG_GRAPH_MIB_PER_SEQ * 2**20))
    return RankMemory(
        stage=stage.index,
        total_bytes=question.gpu.memory_bytes,
        budget_bytes=int(free * fraction),
        weights_bytes=weights,
        activation_bytes=max(0, rest - graphs),
        graphs_bytes=graphs,
        runtime_bytes=runtime,
        kv_cache_bytes=kv,
        origin=Origin.ASSUMED,
    )


TRTLLM_FREE_FRACTION = 0.9


def _trtllm(question: MemoryQuestion, stage: Stage) -> RankMemory:
    """The KV cache takes a fraction of what is free once weights and activations are in place.

    Source: TensorRT-LLM, KvCacheConfig.free_gpu_memory_fraction (0.9).
    """
    limits = _limits(question, TRTLLM_LIMITS)
    known = overheads(NEWEST_VLLM)
    runtime = round(_runtime_gib(question.layout, known) * GIB)
    weights = _weights(question, stage)
    activation = activation_bytes(question, stage, limits, known)
    free = question.gpu.memory_bytes - weights - activation - runtime
    fraction = question.utilization or TRTLLM_FREE_FRACTION
    return RankMemory(
        stage=stage.index,
        total_bytes=question.gpu.memory_bytes,
        budget_bytes=question.gpu.memory_bytes - int(free * (1 - fraction)),
        weights_bytes=weights,
        activation_bytes=activation,
        graphs_bytes=0,
        runtime_bytes=runtime,
        kv_cache_bytes=int(free * fraction),
        origin=Origin.ASSUMED,
    )


RULES: dict[str, Callable[[MemoryQuestion, Stage], RankMemory]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "trtllm": _trtllm,
}
