"""Decoders that mix attention with gated delta nets: Qwen3-Next and Qwen 3.5.

Sources: the published modelling code (transformers 5.19: qwen3_next, qwen3_5).
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.model.shape import AttentionKind, Cut, Layer, LayerCache, MlpKind, Moe, Tensor
from shardwright.shape.decoder import Decoder, attention_kinds, moe_layers
from shardwright.shape.fields import Fields
from shardwright.shape.pieces import (
    AttentionStyle,
    attention,
    experts,
    linear,
    mlp,
    norms,
    vector,
)
from shardwright.shape.split import DTYPE_BITS
from shardwright.shape.standard import (
    ends,
    expert_fields,
    heads_of,
    inner_of,
    is_tied,
    moe_summary,
    shared_expert,
)


def delta_net(f: Fields, hidden: int) -> tuple[tuple[Tensor, ...], LayerCache]:
    """Return a gated delta net and the state it keeps per sequence."""
    key = f.num("linear_num_key_heads") * f.num("linear_key_head_dim")
    heads, dim = f.num("linear_num_value_heads"), f.num("linear_value_head_dim")
    value, kernel = heads * dim, f.num("linear_conv_kernel_dim")
    p = "linear_attn"
    if f.model_type == "qwen3_next":
        inputs = (
            *linear(f"{p}.in_proj_qkvz", 2 * key + 2 * value, hidden, Cut.ROWS),
            *linear(f"{p}.in_proj_ba", 2 * heads, hidden, Cut.ROWS),
        )
    else:
        inputs = (
            *linear(f"{p}.in_proj_qkv", 2 * key + value, hidden, Cut.ROWS),
            *linear(f"{p}.in_proj_z", value, hidden, Cut.ROWS),
            *linear(f"{p}.in_proj_b", heads, hidden, Cut.ROWS),
            *linear(f"{p}.in_proj_a", heads, hidden, Cut.ROWS),
        )
    tensors = (
        *inputs,
        Tensor(name=f"{p}.conv1d", rows=2 * key + value, cols=kernel, cut=Cut.ROWS),
        vector(f"{p}.dt_bias", heads, Cut.ROWS),
        vector(f"{p}.A_log", heads, Cut.ROWS, bits=32),
        *norms(dim, f"{p}.norm"),
        *linear(f"{p}.out_proj", hidden, value, Cut.COLS, unit=dim),
    )
    return tensors, LayerCache(
        conv_state=(2 * key + value) * (kernel - 1),
        ssm_state=heads * dim * f.num("linear_key_head_dim"),
        ssm_state_bits=DTYPE_BITS.get(str(f.get("mamba_ssm_dtype"))),
    )


def build_qwen_hybrid(f: Fields) -> Decoder:
    """Build Qwen3-Next or Qwen3.5: delta nets with gated attention every few layers."""
    heads = heads_of(f)
    if not f.sequence("layer_types"):
        every = f.num("full_attention_interval", default=4)
        num = f.num("num_hidden_layers")
        kinds = tuple(
            AttentionKind.FULL if (i + 1) % every == 0 else AttentionKind.LINEAR for i in range(num)
        )
    else:
        kinds = attention_kinds(f)
    routed = moe_layers(f, len(kinds))
    around = norms(heads.hidden, "input_layernorm", "post_attention_layernorm")
    full = attention(heads, AttentionStyle(qk_norm="head", gate=True))
    state, state_cache = delta_net(f, heads.hidden)
    dense = mlp(heads.hidden, inner_of(f))
    sparse: tuple[Tensor, ...] = ()
    moe: Moe | None = None
    if any(routed):
        shape, shared = expert_fields(f, heads.hidden), shared_expert(f, has_gate=True)
        sparse, moe = experts(shape) + shared, moe_summary(f, shape, shared)

    def layer(kind: AttentionKind, is_moe: bool) -> Layer:
        is_full = kind is AttentionKind.FULL
        return Layer(
            attention=kind,
            mlp=MlpKind.MOE if is_moe else MlpKind.DENSE,
            cache=heads.cache() if is_full else state_cache,
            tensors=(full if is_full else state) + around + (sparse if is_moe else dense),
        )

    tied = is_tied(f, default=False)
    first, last = ends(f, heads.hidden, tied=tied)
    extra = (
        *linear("mtp.fc", heads.hidden, 2 * heads.hidden),
        *norms(heads.hidden, "mtp.pre_fc_norm_hidden", "mtp.pre_fc_norm_embedding", "mtp.norm"),
    )
    predictor = layer(AttentionKind.FULL, bool(moe))
    factor = f.get("partial_rotary_factor") or (f.get("rope_parameters") or {}).get(
        "partial_rotary_factor"
    )
    return Decoder(
        layers=tuple(layer(k, m) for k, m in zip(kinds, routed, strict=True)),
        first=first,
        last=last,
        num_heads=heads.num,
        num_kv_heads=heads.num_kv,
        head_dim=heads.dim,
        intermediate_size=inner_of(f),
        is_tied=tied,
        moe=moe,
        mtp=(replace(predictor, tensors=predictor.tensors + extra),)
        * f.num("mtp_num_hidden_layers", "num_nextn_predict_layers", default=1),
        rope_dims=(int(heads.dim * float(factor or 0.25)),),
    )
