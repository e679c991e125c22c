"""Decoders of the common form: attention, then an MLP or experts, with norms around them.

A family is a row of differences; anything that needs more than a row has a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shardwright.model.shape import AttentionKind, Layer, MlpKind, Moe, Tensor
from shardwright.shape.decoder import Decoder, attention_kinds, moe_layers
from shardwright.shape.fields import Fields
from shardwright.shape.pieces import (
    AttentionStyle,
    Experts,
    Heads,
    attention,
    embedding,
    experts,
    head,
    linear,
    mlp,
    norms,
)

_TWO_NORMS = ("input_layernorm", "post_attention_layernorm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one family differs from Llama. Callables read a field of the file."""

    attention: Callable[[Fields], AttentionStyle] = lambda f: AttentionStyle(
        qkv_bias=f.flag("attention_bias"), out_bias=f.flag("attention_bias")
    )
    norms: tuple[str, ...] = _TWO_NORMS
    norm_bias: bool = False
    is_gated: bool = True
    mlp_bias: Callable[[Fields], bool] = lambda f: f.flag("mlp_bias")
    moe: Callable[[Fields, int], Experts] | None = None
    moe_extra: Callable[[Fields], tuple[Tensor, ...]] = lambda _f: ()
    is_tied: bool = False
    head_bias: bool = False
    head_dim: int | None = None
    positions: Callable[[Fields], int] = lambda _f: 0
    """Rows of a learned position table; 0 where positions are rotary."""


def heads_of(f: Fields, family_head_dim: int | None = None) -> Heads:
    """Return the attention heads of a layer as the file gives them."""
    hidden = f.num("hidden_size", "n_embd", "d_model")
    num = f.num("num_attention_heads", "n_head", "n_heads")
    dim = family_head_dim or hidden // num
    return Heads(
        hidden=hidden,
        num=num,
        num_kv=f.num("num_key_value_heads", "num_kv_heads", "n_head_kv", default=num),
        dim=f.num("head_dim", default=dim),
    )


def inner_of(f: Fields) -> int:
    """Return the width of the dense feed-forward block."""
    hidden = f.num("hidden_size", "n_embd", "d_model")
    return f.num("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", default=4 * hidden)


def expert_fields(
    f: Fields, hidden: int, *, has_score_correction: bool = False, prefix: str = "mlp"
) -> Experts:
    """Return routed experts from the usual field names."""
    return Experts(
        hidden=hidden,
        num=f.num("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
        inner=f.num("moe_intermediate_size", "intermediate_size"),
        has_score_correction=has_score_correction,
        prefix=prefix,
    )


def shared_expert(f: Fields, *, has_gate: bool = False) -> tuple[Tensor, ...]:
    """Return the expert every token visits, if the file has one."""
    hidden = f.num("hidden_size")
    inner = f.num("shared_expert_intermediate_size", "share_expert_dim", default=0) or (
        f.num("n_shared_experts", "num_shared_experts", default=0)
        * f.num("moe_intermediate_size", default=0)
    )
    if not inner:
        return ()
    name = "mlp.shared_expert" if has_gate else "mlp.shared_experts"
    out = mlp(hidden, inner, prefix=name)
    return (*out, *linear("mlp.shared_expert_gate", 1, hidden)) if has_gate else out


def moe_summary(f: Fields, e: Experts, shared: tuple[Tensor, ...]) -> Moe:
    """Return the figures of a mixture that the rest of the program asks for."""
    inner = sum(t.rows for t in shared if t.name.endswith("up_proj") and t.is_linear)
    return Moe(
        num_experts=e.num,
        experts_per_token=f.num(
            "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "top_k_experts",
            "moe_topk", "moe_k", default=1,
        ),
        intermediate_size=e.inner,
        num_shared_experts=f.num("n_shared_experts", "num_shared_experts", default=int(inner > 0)),
        shared_intermediate_size=inner,
        latent_size=e.width,
    )  # fmt: skip


def ends(
    f: Fields, hidden: int, *, tied: bool, norm_bias: bool = False, head_bias: bool = False
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return what comes before and after the layers: embedding; final norm and head."""
    vocab = f.num("vocab_size")
    last = norms(hidden, "model.norm", bias=norm_bias)
    if not tied:
        last += head(vocab, hidden, bias=head_bias)
    return (embedding("model.embed_tokens", vocab, hidden),), last


def is_tied(f: Fields, default: bool) -> bool:
    """Return whether the head is the embedding; an outer file may say it for its text part."""
    value = f.get("tie_word_embeddings")
    if value is None:
        value = f.outer.get("tie_word_embeddings")
    return default if value is None else bool(value)


def build(f: Fields, family: Family) -> Decoder:
    """Build a decoder of the common form."""
    heads = heads_of(f, family.head_dim)
    inner = inner_of(f)
    kinds = attention_kinds(f)
    routed = moe_layers(f, len(kinds)) if family.moe else (False,) * len(kinds)
    base = attention(heads, family.attention(f)) + norms(
        heads.hidden, *family.norms, bias=family.norm_bias
    )
    dense = mlp(heads.hidden, inner, gated=family.is_gated, bias=family.mlp_bias(f))
    moe: Moe | None = None
    sparse: tuple[Tensor, ...] = ()
    if family.moe and any(routed):
        shape = family.moe(f, heads.hidden)
        extra = family.moe_extra(f)
        sparse = experts(shape) + extra
        moe = moe_summary(f, shape, extra)
    window = f.get("sliding_window")
    layers = tuple(
        Layer(
            attention=kind,
            mlp=MlpKind.MOE if is_moe else MlpKind.DENSE,
            cache=heads.cache(window if kind is AttentionKind.SLIDING else None),
            tensors=base + (sparse if is_moe else dense),
        )
        for kind, is_moe in zip(kinds, routed, strict=True)
    )
    tied = is_tied(f, family.is_tied)
    first, last = ends(
        f,
        heads.hidden,
        tied=tied,
        norm_bias=family.norm_bias,
        head_bias=family.head_bias and f.flag("lm_head_bias", default=True),
    )
    rows = family.positions(f)
    if rows:
        first += (Tensor(name="model.embed_positions", rows=rows, cols=heads.hidden),)
    factor = f.get("partial_rotary_factor")
    rope = f.num("rotary_dim", default=int(heads.dim * float(factor or 1)))
    return Decoder(
        layers=layers,
        first=first,
        last=last,
        num_heads=heads.num,
        num_kv_heads=heads.num_kv,
        head_dim=heads.dim,
        intermediate_size=inner,
        is_tied=tied,
        moe=moe,
        rope_dims=() if rows else (rope,),
    )
