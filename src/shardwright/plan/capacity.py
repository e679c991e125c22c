"""How many tokens of KV cache one replica can hold: what limits concurrency in the speed model.

A quick figure from the step model's own sizes; the exact one, per rank and engine version, is the
memory prediction's, and replaces this one where it is known.
"""

from __future__ import annotations

from shardwright.model.shape import Cut
from shardwright.plan.ops import Role
from shardwright.plan.steptime import Setting, cached_bytes_per_token

USABLE_FRACTION = 0.9
"""Share of GPU memory the engine takes. vLLM before 0.20 and TensorRT-LLM: 0.9."""

OVERHEAD_BYTES = 5 * 2**30
"""Activations, CUDA graphs, NCCL and runtime per GPU. Assumed."""

UNLIMITED = 0
"""What `simulate.replay` takes for a cache that never fills."""


def kv_capacity_tokens(s: Setting) -> int:
    """Return the tokens all ranks of one replica can cache together; 0 if the weights do not fit."""
    stages = s.pipeline_parallel
    weights = weight_bytes_per_rank(s)
    room = s.gpu.memory_bytes * USABLE_FRACTION - weights - OVERHEAD_BYTES
    per_token = cached_bytes_per_token(s) / stages
    if room <= 0:
        return UNLIMITED
    return int(room / per_token) if per_token else 10**9


def weight_bytes_per_rank(s: Setting) -> float:
    """Return the stored weights of one rank: products, experts, embedding and head."""
    tp, stages = s.tensor_parallel, s.pipeline_parallel
    attention_tp = max(1, tp // s.attention_dp)
    total = 0.0
    for g in s.ops.gemms:
        bits, _ = s.precision.gemm(g.role)
        cut = 1 if g.cut is Cut.NONE else attention_tp if g.role is Role.ATTENTION else tp
        total += g.count * g.rows * g.cols * bits / 8 / cut
    for e in s.ops.experts:
        size = e.num_experts * e.weights_per_expert * s.precision.expert_bits / 8
        total += e.count * size / max(tp, s.expert_parallel)
    ends = 2.0 * 2.0 * s.ops.head_rows * s.ops.hidden_size / tp
    return (total + ends) / stages
