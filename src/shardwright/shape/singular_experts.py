"""Mixtures with one peculiarity each: Step, Llama 4, MiniMax-M3 and MiMo-V2-Flash.

Sources: the published modelling code of each; counts in facts/data/models/index.csv.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.model.shape import (
    AttentionKind,
    Cut,
    Layer,
    MlpKind,
)
from shardwright.shape.decoder import Decoder, attention_kinds, moe_layers
from shardwright.shape.fields import Fields
from shardwright.shape.pieces import (
    AttentionStyle,
    Experts,
    Heads,
    attention,
    experts,
    linear,
    mlp,
    norms,
)
from shardwright.shape.singular import assemble
from shardwright.shape.standard import (
    expert_fields,
    heads_of,
    inner_of,
    is_tied,
    moe_summary,
    shared_expert,
)


def build_step(f: Fields) -> Decoder:
    """Build Step 3.7: a head-wise gate on attention, dense first layers, experts after."""
    heads = heads_of(f)
    kinds, routed = attention_kinds(f), moe_layers(f, f.num("num_hidden_layers"))
    shape, shared = expert_fields(f, heads.hidden, has_score_correction=True), shared_expert(f)
    base = (
        *attention(heads, AttentionStyle(qk_norm="head")),
        *linear("self_attn.g_proj", heads.num, heads.hidden, Cut.ROWS),
        *norms(heads.hidden, "input_layernorm", "post_attention_layernorm"),
    )
    dense, sparse = mlp(heads.hidden, inner_of(f)), experts(shape) + shared
    window = f.get("sliding_window")
    layers = [
        Layer(
            attention=kind,
            mlp=MlpKind.MOE if is_moe else MlpKind.DENSE,
            cache=heads.cache(window if kind is AttentionKind.SLIDING else None),
            tensors=base + (sparse if is_moe else dense),
        )
        for kind, is_moe in zip(kinds, routed, strict=True)
    ]
    out = assemble(f, layers, heads, tied=is_tied(f, default=False), inner=inner_of(f))
    return replace(out, moe=moe_summary(f, shape, shared))


def build_llama4(f: Fields) -> Decoder:
    """Build Llama 4: chunked attention with full layers between, experts beside a shared MLP."""
    heads = heads_of(f)
    num = f.num("num_hidden_layers")
    rope = f.sequence("no_rope_layers") or [int((i + 1) % 4 != 0) for i in range(num)]
    routed = moe_layers(f, num)
    inner = f.num("intermediate_size")
    shape = Experts(
        hidden=heads.hidden, num=f.num("num_local_experts"), inner=inner, prefix="feed_forward",
        router="router",
    )  # fmt: skip
    shared = mlp(heads.hidden, inner, prefix="feed_forward.shared_expert")
    dense = mlp(heads.hidden, f.num("intermediate_size_mlp"), prefix="feed_forward")
    base = attention(heads, AttentionStyle()) + norms(
        heads.hidden, "input_layernorm", "post_attention_layernorm"
    )
    chunk = f.get("attention_chunk_size")
    layers = [
        Layer(
            attention=AttentionKind.CHUNKED if rope[i] else AttentionKind.FULL,
            mlp=MlpKind.MOE if routed[i] else MlpKind.DENSE,
            cache=heads.cache(chunk if rope[i] else None),
            tensors=base + ((experts(shape) + shared) if routed[i] else dense),
        )
        for i in range(num)
    ]
    out = assemble(f, layers, heads, tied=is_tied(f, default=False), inner=inner)
    return replace(out, moe=moe_summary(f, shape, shared))


def build_minimax_m3(f: Fields) -> Decoder:
    """Build MiniMax-M3's text model: dense first layers; sparse ones have an index beside them."""
    heads = heads_of(f)
    routed = moe_layers(f, f.num("num_hidden_layers"))
    sparse_config = f.part("sparse_attention_config") or f
    indexed = sparse_config.sequence("sparse_attention_freq") or [0] * len(routed)
    dim = sparse_config.num("sparse_index_dim", default=heads.dim)
    index = (
        *linear(
            "self_attn.index_q_proj", sparse_config.num("sparse_num_index_heads", default=1) * dim,
            heads.hidden, Cut.KV_HEADS, unit=dim,
        ),
        *linear("self_attn.index_k_proj", dim, heads.hidden),
        *norms(dim, "self_attn.index_q_norm", "self_attn.index_k_norm"),
    )  # fmt: skip
    base = attention(heads, AttentionStyle(qk_norm="head")) + norms(
        heads.hidden, "input_layernorm", "post_attention_layernorm"
    )
    shape = Experts(
        hidden=heads.hidden, num=f.num("num_local_experts"), inner=f.num("intermediate_size"),
        has_score_correction=f.flag("use_routing_bias", default=True), prefix="block_sparse_moe",
    )  # fmt: skip
    inner = f.num("dense_intermediate_size")
    shared = mlp(
        heads.hidden, f.num("shared_intermediate_size"), prefix="block_sparse_moe.shared_experts"
    )
    sparse, dense = experts(shape) + shared, mlp(heads.hidden, inner)
    layers = [
        Layer(
            attention=AttentionKind.FULL,
            mlp=MlpKind.MOE if is_moe else MlpKind.DENSE,
            cache=heads.cache(),
            tensors=base + (index if has_index else ()) + (sparse if is_moe else dense),
        )
        for is_moe, has_index in zip(routed, indexed, strict=True)
    ]
    out = assemble(f, layers, heads, tied=is_tied(f, default=False), inner=inner)
    return replace(out, moe=moe_summary(f, shape, shared))


def build_mimo_v2(f: Fields) -> Decoder:
    """Build MiMo-V2-Flash: sliding layers with sinks and more KV heads than the full ones."""
    hidden = f.num("hidden_size")
    full = Heads(
        hidden=hidden, num=f.num("num_attention_heads"), num_kv=f.num("num_key_value_heads"),
        dim=f.num("head_dim"), value_dim=f.num("v_head_dim"),
    )  # fmt: skip
    slide = Heads(
        hidden=hidden, num=f.num("swa_num_attention_heads"),
        num_kv=f.num("swa_num_key_value_heads"), dim=f.num("swa_head_dim"),
        value_dim=f.num("swa_v_head_dim"),
    )  # fmt: skip
    sinks = f.flag("add_swa_attention_sink_bias"), f.flag("add_full_attention_sink_bias")
    shape = expert_fields(f, hidden, has_score_correction=True)
    around = norms(hidden, "input_layernorm", "post_attention_layernorm")
    dense, sparse = mlp(hidden, inner_of(f)), experts(shape)
    pattern = f.sequence("hybrid_layer_pattern") or []
    layers = [
        Layer(
            attention=AttentionKind.SLIDING if slides else AttentionKind.FULL,
            mlp=MlpKind.MOE if is_moe else MlpKind.DENSE,
            cache=(slide if slides else full).cache(f.get("sliding_window") if slides else None),
            tensors=attention(
                slide if slides else full, AttentionStyle(has_sinks=sinks[0 if slides else 1])
            )
            + around
            + (sparse if is_moe else dense),
        )
        for slides, is_moe in zip(pattern, moe_layers(f, len(pattern)), strict=True)
    ]
    out = assemble(f, layers, full, tied=is_tied(f, default=False), inner=inner_of(f))
    return replace(out, moe=moe_summary(f, shape, ()))
