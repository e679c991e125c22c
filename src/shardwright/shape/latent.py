"""Decoders with multi-head latent attention: DeepSeek V2, V3, V3.2, Kimi K2, GLM-5, GLM-4.7-Flash.

Sources: the published modelling code (transformers 5.19, deepseek_v2, deepseek_v3, deepseek_v32,
glm_moe_dsa, glm4_moe_lite) and the term-by-term counts in facts/data/models.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.model.shape import (
    AttentionKind,
    Cut,
    Layer,
    LayerCache,
    Mla,
    MlpKind,
    Moe,
    Tensor,
)
from shardwright.shape.decoder import Decoder, moe_layers
from shardwright.shape.fields import Fields
from shardwright.shape.pieces import embedding, experts, head, linear, mlp, norms
from shardwright.shape.standard import ends, expert_fields, is_tied, moe_summary, shared_expert

INDEXER_SCALE_BYTES = 4
"""One float32 scale per 128 FP8 elements of the sparse-attention index."""


def latent_attention(f: Fields, mla: Mla, hidden: int, heads: int) -> tuple[Tensor, ...]:
    """Return the projections of latent attention; what makes the latent is on every rank."""
    query, value = mla.qk_nope_head_dim + mla.qk_rope_head_dim, mla.v_head_dim
    bias = f.flag("attention_bias")
    out: tuple[Tensor, ...]
    if mla.q_lora_rank:
        out = (
            *linear("self_attn.q_a_proj", mla.q_lora_rank, hidden, bias=bias),
            *norms(mla.q_lora_rank, "self_attn.q_a_layernorm"),
            *linear("self_attn.q_b_proj", heads * query, mla.q_lora_rank, Cut.ROWS, unit=query),
        )
    else:
        out = linear("self_attn.q_proj", heads * query, hidden, Cut.ROWS, unit=query)
    latent = mla.kv_lora_rank + mla.qk_rope_head_dim
    up = mla.qk_nope_head_dim + value
    return (
        *out,
        *linear("self_attn.kv_a_proj_with_mqa", latent, hidden, bias=bias),
        *norms(mla.kv_lora_rank, "self_attn.kv_a_layernorm"),
        *linear("self_attn.kv_b_proj", heads * up, mla.kv_lora_rank, Cut.ROWS, unit=up),
        *linear("self_attn.o_proj", hidden, heads * value, Cut.COLS, unit=value, bias=bias),
    )


def indexer(f: Fields, hidden: int) -> tuple[Tensor, ...]:
    """Return the index of sparse attention (DSA), replicated on every rank; empty if none."""
    if not f.has("index_head_dim"):
        return ()
    dim, heads = f.num("index_head_dim"), f.num("index_n_heads")
    return (
        *linear("self_attn.indexer.wq_b", heads * dim, f.num("q_lora_rank")),
        *linear("self_attn.indexer.wk", dim, hidden),
        *norms(dim, "self_attn.indexer.k_norm", bias=True),
        *linear("self_attn.indexer.weights_proj", heads, hidden),
    )


def build_latent(f: Fields) -> Decoder:
    """Build a decoder with latent attention, dense first layers and experts after them."""
    hidden, heads = f.num("hidden_size"), f.num("num_attention_heads")
    mla = Mla(
        kv_lora_rank=f.num("kv_lora_rank"),
        q_lora_rank=f.num("q_lora_rank") if f.has("q_lora_rank") else None,
        qk_nope_head_dim=f.num("qk_nope_head_dim"),
        qk_rope_head_dim=f.num("qk_rope_head_dim"),
        v_head_dim=f.num("v_head_dim"),
    )
    num = f.num("num_hidden_layers")
    block = latent_attention(f, mla, hidden, heads) + norms(
        hidden, "input_layernorm", "post_attention_layernorm"
    )
    index, shares = indexer(f, hidden), f.sequence("indexer_types")
    dense = mlp(hidden, f.num("intermediate_size"))
    sparse, moe = _experts(f, hidden)
    cache = LayerCache(num_heads=1, key_dim=mla.kv_lora_rank + mla.qk_rope_head_dim, is_latent=True)
    indexed = replace(cache, indexer_bytes=f.num("index_head_dim", default=0) + INDEXER_SCALE_BYTES)

    def layer(is_moe: bool, has_index: bool) -> Layer:
        return Layer(
            attention=AttentionKind.MLA,
            mlp=MlpKind.MOE if is_moe else MlpKind.DENSE,
            cache=indexed if has_index else cache,
            tensors=block + (index if has_index else ()) + (sparse if is_moe else dense),
        )

    first, last = ends(f, hidden, tied=is_tied(f, default=False))
    has_index = [bool(index) and (not shares or shares[i] == "full") for i in range(num)]
    return Decoder(
        layers=tuple(
            layer(routed, has) for routed, has in zip(moe_layers(f, num), has_index, strict=True)
        ),
        first=first,
        last=last,
        num_heads=heads,
        num_kv_heads=1,
        head_dim=mla.qk_nope_head_dim + mla.qk_rope_head_dim,
        intermediate_size=f.num("intermediate_size"),
        is_tied=is_tied(f, default=False),
        moe=moe,
        mla=mla,
        mtp=_predictor(f, layer(is_moe=True, has_index=bool(index)), hidden),
        rope_dims=(mla.qk_rope_head_dim,),
    )


def _experts(f: Fields, hidden: int) -> tuple[tuple[Tensor, ...], Moe | None]:
    if f.num("n_routed_experts", default=0) < 2:
        return (), None
    corrected = f.get("topk_method") == "noaux_tc" or f.model_type != "deepseek_v2"
    shape = expert_fields(f, hidden, has_score_correction=corrected)
    shared = shared_expert(f)
    return experts(shape) + shared, moe_summary(f, shape, shared)


# DeepSeek stores copies of embedding and head with each prediction layer, GLM-5 does not
_OWN_ENDS = frozenset({"deepseek_v3", "deepseek_v32", "kimi_k2", "glm4_moe_lite"})


def _predictor(f: Fields, layer: Layer, hidden: int) -> tuple[Layer, ...]:
    """Return the multi-token-prediction layers: a decoder layer, a projection and three norms."""
    return predictors(f, layer, hidden, has_own_ends=f.model_type in _OWN_ENDS)


def predictors(f: Fields, layer: Layer, hidden: int, *, has_own_ends: bool) -> tuple[Layer, ...]:
    """Return num_nextn_predict_layers prediction layers around one kind of decoder layer."""
    extra: tuple[Tensor, ...] = (
        *linear("eh_proj", hidden, 2 * hidden),
        *norms(hidden, "enorm", "hnorm", "shared_head.norm"),
    )
    if has_own_ends:
        vocab = f.num("vocab_size")
        extra += (embedding("embed_tokens", vocab, hidden), *head(vocab, hidden))
    count = f.num("num_nextn_predict_layers", default=0)
    return (replace(layer, tensors=layer.tensors + extra),) * count
