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
