"""Gemma 4: wide full-attention heads that reuse keys as values, sliding layers, experts and MLP.

Source: transformers 5.19 gemma4.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.model.shape import AttentionKind, Layer, MlpKind, Moe, Tensor
from shardwright.shape.decoder import Decoder, attention_kinds
from shardwright.shape.fields import Fields
from shardwright.shape.pieces import (
    AttentionStyle,
    Experts,
    Heads,
    attention,
    experts,
    mlp,
    norms,
    vector,
)
from shardwright.shape.standard import ends, heads_of, inner_of, is_tied, moe_summary


def build_gemma4(f: Fields) -> Decoder:
    """Build Gemma 4."""
    slide = heads_of(f, 256)
    full = Heads(
        hidden=slide.hidden,
        num=slide.num,
        num_kv=f.num("num_global_key_value_heads", default=slide.num_kv),
        dim=f.num("global_head_dim", default=512),
    )
    around = norms(
        slide.hidden, "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    )  # fmt: skip
    dense = mlp(slide.hidden, inner_of(f))
    sparse, moe = _experts(f, slide.hidden) if f.flag("enable_moe_block") else ((), None)
    window = f.get("sliding_window")
    reuses_keys = f.flag("attention_k_eq_v")

    def layer(kind: AttentionKind) -> Layer:
        is_full = kind is AttentionKind.FULL
        heads = full if is_full else slide
        style = AttentionStyle(qk_norm="head", has_value=not (is_full and reuses_keys))
        return Layer(
            attention=kind,
            mlp=MlpKind.MOE if moe else MlpKind.DENSE,
            cache=heads.cache(None if is_full else window),
            tensors=attention(heads, style)
            + around
            + dense
            + sparse
            + (replace(vector("layer_scalar", 1), is_buffer=True),),
        )

    tied = is_tied(f, default=True)
    first, last = ends(f, slide.hidden, tied=tied)
    return Decoder(
        layers=tuple(layer(kind) for kind in attention_kinds(f)),
        first=first,
        last=last,
        num_heads=slide.num,
        num_kv_heads=slide.num_kv,
        head_dim=slide.dim,
        intermediate_size=inner_of(f),
        is_tied=tied,
        moe=moe,
        rope_dims=(slide.dim, full.dim),
    )


def _experts(f: Fields, hidden: int) -> tuple[tuple[Tensor, ...], Moe]:
    shape = Experts(
        hidden=hidden,
        num=f.num("num_experts"),
        inner=f.num("moe_intermediate_size"),
        prefix="",
        router="router.proj",
    )
    named = tuple(replace(t, name=t.name.lstrip(".")) for t in experts(shape))
    extra = (
        vector("router.scale", hidden),
        vector("router.per_expert_scale", shape.num),
        *norms(
            hidden, "post_feedforward_layernorm_1", "post_feedforward_layernorm_2",
            "pre_feedforward_layernorm_2",
        ),
    )  # fmt: skip
    return named + extra, moe_summary(f, shape, ())
