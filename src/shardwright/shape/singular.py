"""Dense families with one peculiarity each: Falcon, Qwen 1, Phi-3-small, MiMo, Mllama and
NAS-pruned Llamas.

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
from shardwright.shape.decoder import Decoder
from shardwright.shape.fields import Fields
from shardwright.shape.latent import predictors
from shardwright.shape.pieces import (
    AttentionStyle,
    Heads,
    attention,
    embedding,
    linear,
    mlp,
    norms,
    vector,
)
from shardwright.shape.standard import (
    Family,
    build,
    ends,
    heads_of,
    inner_of,
    is_tied,
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
