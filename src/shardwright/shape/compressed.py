"""DeepSeek V4: one wide KV head, a sliding window, and compressed entries of what lies before it.

Sources: transformers 5.19 deepseek_v4; compress_ratios in config.json gives each layer's kind.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.model.shape import AttentionKind, Cut, Layer, LayerCache, MlpKind, Tensor
from shardwright.shape.decoder import Decoder
from shardwright.shape.fields import Fields
from shardwright.shape.latent import INDEXER_SCALE_BYTES, predictors
from shardwright.shape.pieces import experts, linear, norms, vector
from shardwright.shape.standard import ends, expert_fields, is_tied, moe_summary, shared_expert

INDEXED_RATIO = 4
"""Layers that fold this many tokens into one entry also keep an index to choose entries by."""


def build_compressed(f: Fields) -> Decoder:
    """Build DeepSeek V4."""
    hidden, heads, dim = f.num("hidden_size"), f.num("num_attention_heads"), f.num("head_dim")
    ratios = (f.sequence("compress_ratios") or [])[: f.num("num_hidden_layers")]
    shape, shared = expert_fields(f, hidden, has_score_correction=True), shared_expert(f)
    routed = experts(shape) + shared
    around = norms(hidden, "input_layernorm", "post_attention_layernorm")
    base = _attention(f, hidden, heads, dim) + around + _hyper(f, hidden)
    num_hash = f.num("num_hash_layers", default=0)
    window = f.num("sliding_window")
    hashed = tuple(t for t in routed if not t.is_buffer)

    def layer(ratio: int, is_hashed: bool) -> Layer:
        indexed = ratio == INDEXED_RATIO
        return Layer(
            attention=AttentionKind.SLIDING if ratio == 0 else AttentionKind.MLA,
            mlp=MlpKind.MOE,
            cache=LayerCache(
                num_heads=1,
                key_dim=dim,
                window=window,
                is_latent=True,
                compress=max(ratio, 1),
                indexer_bytes=(f.num("index_head_dim") + INDEXER_SCALE_BYTES if indexed else 0),
            ),
            tensors=base
            + (_compressor(f, hidden, dim, ratio) if ratio else ())
            + (hashed if is_hashed else routed),
        )

    tied = is_tied(f, default=False)
    first, last = ends(f, hidden, tied=tied)
    mult = f.num("hc_mult")
    last += (
        Tensor(name="model.hc_head.hc_fn", rows=mult, cols=mult * hidden, bits=32),
        vector("model.hc_head.hc_base", mult, bits=32),
        vector("model.hc_head.hc_scale", 1, bits=32),
    )
    plain = layer(0, is_hashed=False)
    return Decoder(
        layers=tuple(layer(int(r), i < num_hash) for i, r in enumerate(ratios)),
        first=first,
        last=last,
        num_heads=heads,
        num_kv_heads=1,
        head_dim=dim,
        intermediate_size=f.num("moe_intermediate_size"),
        is_tied=tied,
        moe=replace(moe_summary(f, shape, shared)),
        mtp=predictors(f, plain, hidden, has_own_ends=False),
        rope_dims=(f.num("qk_rope_head_dim"),) * 2,
    )


def _attention(f: Fields, hidden: int, heads: int, dim: int) -> tuple[Tensor, ...]:
    rank, groups, out_rank = f.num("q_lora_rank"), f.num("o_groups"), f.num("o_lora_rank")
    p = "self_attn"
    return (
        *linear(f"{p}.q_a_proj", rank, hidden),
        *norms(rank, f"{p}.q_a_norm"),
        *linear(f"{p}.q_b_proj", heads * dim, rank, Cut.ROWS, unit=dim),
        *linear(f"{p}.kv_proj", dim, hidden),
        *norms(dim, f"{p}.kv_norm"),
        *linear(f"{p}.o_a_proj", groups * out_rank, heads * dim // groups, Cut.ROWS, unit=out_rank),
        *linear(f"{p}.o_b_proj", hidden, groups * out_rank, Cut.COLS, unit=out_rank),
        vector(f"{p}.sinks", heads, Cut.ROWS),
    )


def _hyper(f: Fields, hidden: int) -> tuple[Tensor, ...]:
    """Return the hyper-connections around attention and experts: hc_mult residual streams."""
    mult = f.num("hc_mult")
    rows = mult * (mult + 2)
    out: tuple[Tensor, ...] = ()
    for name in ("attn_hc", "ffn_hc"):
        out += (
            Tensor(name=f"{name}.fn", rows=rows, cols=mult * hidden, bits=32),
            vector(f"{name}.base", rows, bits=32),
            vector(f"{name}.scale", 3, bits=32),
        )
    return out


def _compressor(f: Fields, hidden: int, dim: int, ratio: int) -> tuple[Tensor, ...]:
    """Return what folds `ratio` tokens into one entry; overlapping windows double its width."""
    wide = 2 if ratio == INDEXED_RATIO else 1
    p = "self_attn.compressor"
    out = (
        Tensor(name=f"{p}.position_bias", rows=ratio, cols=wide * dim, bits=32),
        *linear(f"{p}.kv_proj", wide * dim, hidden),
        *linear(f"{p}.gate_proj", wide * dim, hidden),
        *norms(dim, f"{p}.kv_norm"),
    )
    if ratio != INDEXED_RATIO:
        return out
    index, heads = f.num("index_head_dim"), f.num("index_n_heads")
    return (
        *out,
        Tensor(name=f"{p}.indexer.position_bias", rows=ratio, cols=wide * index, bits=32),
        *linear(f"{p}.indexer.kv_proj", wide * index, hidden),
        *linear(f"{p}.indexer.gate_proj", wide * index, hidden),
        *norms(index, f"{p}.indexer.kv_norm"),
        *linear(f"{p}.indexer.q_b_proj", heads * index, f.num("q_lora_rank")),
        *linear(f"{p}.indexer.scorer.weights_proj", heads, hidden),
    )
