"""What each engine sets aside on a GPU, and what it calls its share: one rule per engine.

Sources: vLLM v1/worker/gpu_worker.py and the profile runs of both model runners; SGLang
server_args.py; TensorRT-LLM's KvCacheConfig.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from shardwright.model.layout import Layout, Stage
from shardwright.model.origin import Origin, weakest
from shardwright.model.plan import RankMemory
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB
from shardwright.planner.activation import activation_bytes
from shardwright.planner.limits import (
    TRTLLM_LIMITS,
    Limits,
    Version,
    sglang_limits,
    version_of,
    vllm_limits,
)
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.planner.overheads import Overheads, overheads
from shardwright.shape.expert_kernels import (
    MXFP4_BEFORE,
    MXFP4_BLACKWELL,
    MXFP4_HOPPER,
    ExpertPads,
)
from shardwright.shape.split import stage_weights

NEWEST_VLLM: Version = (0, 33)
GROUP_AWARE_SINCE: Version = (0, 24)
ALL_BATCHES_SINCE: Version = (0, 26)
"""vLLM from which a windowed group also holds the batches in flight; before, one batch. Source:
get_kv_cache_capacity and max_in_flight_tokens in the wheels of 0.19 to 0.32."""
NARROW_MXFP4_SINCE: Version = (0, 12)
"""vLLM from which kernels for MXFP4 experts come with it and pad less. Inferred from the files in
the wheels of 0.11 to 0.32; measured at 0.11.0 and 0.25.1."""
ASYNC_BATCHES = 2
"""Batches in flight under asynchronous scheduling without pipeline stages."""


def in_flight_tokens(question: MemoryQuestion) -> int | None:
    """Return the tokens that scheduled batches hold beside the cache, None where versions of the
    engine do not count them.
    """
    if question.engine != "vllm":
        return None
    version = version_of(question.version, NEWEST_VLLM)
    if version < GROUP_AWARE_SINCE:
        return None
    stages = question.layout.pipeline_parallel
    batches = ASYNC_BATCHES if stages == 1 else stages + 1
    if version < ALL_BATCHES_SINCE:
        batches = 1
    return batches * question.limits(vllm_limits(question.gpu, version)).max_num_batched_tokens


def _vllm(question: MemoryQuestion, stage: Stage) -> RankMemory:
    version = version_of(question.version, NEWEST_VLLM)
    known = overheads(version)
    utilization = question.utilization or (0.92 if version >= (0, 20) else 0.9)
    limits = question.limits(vllm_limits(question.gpu, version))
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
    is_old = question.engine == "vllm" and (
        version_of(question.version, NEWEST_VLLM) < NARROW_MXFP4_SINCE
    )
    is_blackwell = question.gpu.compute_capability.startswith("10.")
    pads = MXFP4_BEFORE if is_old else MXFP4_BLACKWELL if is_blackwell else MXFP4_HOPPER
    return _held(question.shape, question.layout, replace(stage, index=0), question.dtype, pads)


@lru_cache(maxsize=4096)
def _held(
    shape: ModelShape, layout: Layout, stage: Stage, dtype: str | None, pads: ExpertPads
) -> int:
    """Bytes of one rank's weights, which the GPU changes by the kernels it has alone."""
    return stage_weights(shape, layout, stage, dtype=dtype, pads=pads).total


def _runtime_gib(layout: Layout, known: Overheads) -> float:
    if layout.tensor_parallel * layout.data_parallel > 1:
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


SGLANG_GRAPH_MIB_PER_SEQ = 2
SGLANG_LEAST_RESERVE_MIB = 10240


def _sglang(question: MemoryQuestion, stage: Stage) -> RankMemory:
    """Weights and KV cache share mem_fraction_static of the memory free at start.

    Source of the default fraction: SGLang 0.5.23, arg_groups/memory_hook.py.
    """
    limits = question.limits(sglang_limits(question.gpu))
    ranks = question.layout.gpus_per_replica
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
    limits = question.limits(TRTLLM_LIMITS)
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
