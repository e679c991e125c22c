"""Divisibility that every engine asks for, since it follows from how tensors are cut."""

from __future__ import annotations

from shardwright.engines.engine import Refusal
from shardwright.model.layout import Layout
from shardwright.model.shape import AttentionKind, ModelShape


def refuse_uneven(shape: ModelShape, layout: Layout) -> tuple[Refusal, ...]:
    """List what cannot be cut: attention heads and KV heads over TP, layers over PP."""
    tp, pp = layout.tensor_parallel, layout.pipeline_parallel
    out = []
    if shape.num_attention_heads % tp:
        reason = f"{shape.num_attention_heads} attention heads cannot be divided by TP={tp}"
        out.append(Refusal(code="heads-not-divisible", reason=reason))
    kv = shape.num_kv_heads
    has_kv_heads = any(layer.attention is not AttentionKind.MLA for layer in shape.layers)
    if has_kv_heads and kv and max(kv, tp) % min(kv, tp):
        reason = f"{kv} KV heads can neither be divided nor replicated evenly over TP={tp}"
        out.append(Refusal(code="kv-heads-not-divisible", reason=reason))
    if pp > shape.num_layers:
        reason = f"{shape.num_layers} layers cannot fill PP={pp} stages"
        out.append(Refusal(code="more-stages-than-layers", reason=reason))
    return tuple(out)


def refuse_uneven_or_attention_dp(shape: ModelShape, layout: Layout) -> tuple[Refusal, ...]:
    """As refuse_uneven, for engines whose attention data parallelism needs a file we do not write:
    TensorRT-LLM's enable_attention_dp is set in its YAML options alone.
    """
    if layout.data_parallel == 1:
        return refuse_uneven(shape, layout)
    reason = "attention data parallelism needs an options file that is not written yet"
    return (Refusal(code="attention-dp-not-written", reason=reason),)
