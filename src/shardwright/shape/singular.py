"""Families with one peculiarity each: Falcon, Qwen 1, Phi-3-small, MiMo, Step, Llama 4, Mllama,
MiMo-V2-Flash, MiniMax-M3 and NAS-pruned Llamas.

Sources: the published modelling code of each; counts in facts/data/models/index.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shardwright.model.shape import (
    AttentionKind,
    Cut,
    Layer,
    LayerCache,
    MlpKind,
    Tensor,
)
from shardwright.shape.decoder import Decoder, attention_kinds, moe_layers
from shardwright.shape.fields import Fields
from shardwright.shape.latent import predictors
from shardwright.shape.pieces import (
    AttentionStyle,
    Experts,
    Heads,
    attention,
    embedding,
    experts,
    linear,
    mlp,
    norms,
    vector,
)
from shardwright.shape.standard import (
    Family,
    build,
    ends,
    expert_fields,
    heads_of,
    inner_of,
    is_tied,
    moe_summary,
    shared_expert,
)


def assemble(
    f: Fields, layers: Sequence[Layer], heads: Heads, *, tied: bool, inner: int,
    norm_bias: bool = False,
) -> Decoder:  # fmt: skip
    """Return a decoder with the usual ends around given layers."""
    first, last = ends(f, heads.hidden, tied=tied, norm_bias=norm_bias)
    return Decoder(
        layers=tuple(layers),
        first=first,
        last=last,
        num_heads=heads.num,
        num_kv_heads=heads.num_kv,
        head_dim=heads.dim,
        intermediate_size=inner,
        is_tied=tied,
        rope_dims=(heads.dim,),
    )


def build_falcon(f: Fields) -> Decoder:
    """Build Falcon: parallel attention and MLP; one KV head, or a few in the newer form."""
    is_new = f.flag("new_decoder_architecture")
    heads = heads_of(f)
    shared = 1 if f.flag("multi_query", default=True) else heads.num
    heads = replace(heads, num_kv=f.num("num_kv_heads", default=heads.num) if is_new else shared)
    bias, inner = f.flag("bias"), 4 * heads.hidden
    names = ("ln_attn", "ln_mlp") if is_new else ("input_layernorm",)
    if not is_new and not f.flag("parallel_attn", default=True):
        names = ("input_layernorm", "post_attention_layernorm")
    layer = Layer(
        attention=AttentionKind.FULL,
        mlp=MlpKind.DENSE,
        cache=heads.cache(),
        tensors=attention(heads, AttentionStyle(qkv_bias=bias, out_bias=bias))
        + mlp(heads.hidden, inner, gated=False, bias=bias)
        + norms(heads.hidden, *names, bias=True),
    )
    num = f.num("num_hidden_layers", "n_layer")
    tied = is_tied(f, default=True)
    return assemble(f, (layer,) * num, heads, tied=tied, inner=inner, norm_bias=True)


def build_qwen1(f: Fields) -> Decoder:
    """Build the first Qwen: biases on query, key and value; the file gives twice the MLP width."""
    halved = Fields(
        {**f.raw, "intermediate_size": f.num("intermediate_size") // 2}, f.model_type, f.outer
    )
    return build(halved, Family(attention=lambda _f: AttentionStyle(qkv_bias=True)))


def build_phi3_small(f: Fields) -> Decoder:
    """Build Phi-3-small: biases everywhere, layer norms, tied head."""
    renamed = Fields(
        {**f.raw, "intermediate_size": f.num("ff_intermediate_size")}, f.model_type, f.outer
    )
    return build(
        renamed,
        Family(
            attention=lambda _f: AttentionStyle(qkv_bias=True, out_bias=True),
            norm_bias=True,
            mlp_bias=lambda _f: True,
            is_tied=True,
        ),
    )


def build_mimo(f: Fields) -> Decoder:
    """Build MiMo: a Qwen2 with one stored prediction layer."""
    style = Family(
        attention=lambda f: AttentionStyle(qkv_bias=f.flag("attention_bias", default=True))
    )
    base = build(f, style)
    hidden = f.num("hidden_size")
    return replace(base, mtp=predictors(f, base.layers[-1], hidden, has_own_ends=False))


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


def build_mllama(f: Fields) -> Decoder:
    """Build Llama 3.2 Vision: cross-attention layers among plain ones; 8 extra embedding rows."""
    heads, inner = heads_of(f), inner_of(f)
    around = norms(heads.hidden, "input_layernorm", "post_attention_layernorm")
    dense = mlp(heads.hidden, inner)
    plain = Layer(
        attention=AttentionKind.FULL,
        mlp=MlpKind.DENSE,
        cache=heads.cache(),
        tensors=attention(heads, AttentionStyle()) + around + dense,
    )
    cross = Layer(
        attention=AttentionKind.CROSS,
        mlp=MlpKind.DENSE,
        cache=heads.cache(),
        tensors=attention(heads, AttentionStyle(qk_norm="head", prefix="cross_attn"))
        + around
        + dense
        + (vector("cross_attn_attn_gate", 1), vector("cross_attn_mlp_gate", 1)),
    )
    where = set(f.sequence("cross_attention_layers") or ())
    layers = [cross if i in where else plain for i in range(f.num("num_hidden_layers"))]
    out = assemble(f, layers, heads, tied=False, inner=inner)
    table = embedding("model.embed_tokens", f.num("vocab_size") + 8, heads.hidden)
    return replace(out, first=(table,))


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


def build_nas(f: Fields) -> Decoder:
    """Build a Llama pruned by architecture search: each block has its own attention and MLP."""
    hidden, num = f.num("hidden_size"), f.num("num_attention_heads")
    layers, dim, widest = [], hidden // num, 0
    most_kv = 1
    for block in f.sequence("block_configs") or []:
        tensors: tuple[Tensor, ...] = ()
        kind, cache = AttentionKind.NONE, LayerCache()
        if not block["attention"]["no_op"]:
            if block["attention"].get("replace_with_linear"):
                tensors += linear("self_attn.linear_attn", hidden, hidden, Cut.NONE)
            else:
                kv = num // int(block["attention"]["n_heads_in_group"])
                most_kv = max(most_kv, kv)
                heads = Heads(hidden=hidden, num=num, num_kv=kv, dim=dim)
                tensors += attention(heads, AttentionStyle())
                kind, cache = AttentionKind.FULL, heads.cache()
            tensors += norms(hidden, "input_layernorm")
        if not block["ffn"]["no_op"]:
            inner = _multiple_of(int(2 * float(block["ffn"]["ffn_mult"]) * hidden / 3), 256)
            widest = max(widest, inner)
            tensors += mlp(hidden, inner) + norms(hidden, "post_attention_layernorm")
        layers.append(
            Layer(
                attention=kind,
                mlp=MlpKind.NONE if block["ffn"]["no_op"] else MlpKind.DENSE,
                cache=cache,
                tensors=tensors,
            )
        )
    heads = Heads(hidden=hidden, num=num, num_kv=most_kv, dim=dim)
    return assemble(f, layers, heads, tied=is_tied(f, default=False), inner=widest)


def _multiple_of(value: int, unit: int) -> int:
    return -(-value // unit) * unit
