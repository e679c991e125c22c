"""Kimi K3: delta attention with full latent attention between, experts narrower than the model.

Source: vLLM 0.32 models/kimi_k3 (kda.py, mla.py, model.py); the sum of its tensors is the published
count.
"""

from __future__ import annotations

from shardwright.model.shape import AttentionKind, Cut, Layer, LayerCache, Mla, MlpKind, Tensor
from shardwright.shape.decoder import Decoder, moe_layers
from shardwright.shape.fields import Fields
from shardwright.shape.latent import latent_attention
from shardwright.shape.pieces import Experts, experts, linear, mlp, norms, vector
from shardwright.shape.standard import ends, is_tied, moe_summary


def build_kimi_linear(f: Fields) -> Decoder:
    """Build Kimi K3's text model; linear_attn_config counts layers from 1."""
    hidden, heads = f.num("hidden_size"), f.num("num_attention_heads")
    state = f.part("linear_attn_config") or f
    full = set(state.sequence("full_attn_layers") or ())
    mla = Mla(
        kv_lora_rank=f.num("kv_lora_rank"),
        q_lora_rank=f.num("q_lora_rank"),
        qk_nope_head_dim=f.num("qk_nope_head_dim"),
        qk_rope_head_dim=f.num("qk_rope_head_dim"),
        v_head_dim=f.num("v_head_dim"),
    )
    latent = latent_attention(f, mla, hidden, heads)
    if f.flag("mla_use_output_gate"):
        latent += linear("self_attn.g_proj", heads * mla.v_head_dim, hidden, Cut.ROWS)
    delta, delta_cache = _delta(state, hidden)
    around = norms(hidden, "input_layernorm", "post_attention_layernorm")
    if f.has("attn_res_block_size"):
        around += norms(hidden, "self_attention_res_norm", "mlp_res_norm")
        around += norms(hidden, "self_attention_res_proj", "mlp_res_proj")
    shape = Experts(
        hidden=hidden, num=f.num("num_experts"), inner=f.num("moe_intermediate_size"),
        width=f.num("routed_expert_hidden_size", default=hidden), has_score_correction=True,
        prefix="block_sparse_moe",
    )  # fmt: skip
    shared = mlp(
        hidden, f.num("num_shared_experts") * shape.inner, prefix="block_sparse_moe.shared_experts"
    )
    sparse = experts(shape) + shared + _narrowing(shape)
    dense = mlp(hidden, f.num("intermediate_size"))
    latent_cache = LayerCache(
        num_heads=1, key_dim=mla.kv_lora_rank + mla.qk_rope_head_dim, is_latent=True
    )
    num = f.num("num_hidden_layers")
    layers = tuple(
        Layer(
            attention=AttentionKind.MLA if i + 1 in full else AttentionKind.LINEAR,
            mlp=MlpKind.MOE if routed else MlpKind.DENSE,
            cache=latent_cache if i + 1 in full else delta_cache,
            tensors=(latent if i + 1 in full else delta) + around + (sparse if routed else dense),
        )
        for i, routed in enumerate(moe_layers(f, num))
    )
    tied = is_tied(f, default=False)
    first, last = ends(f, hidden, tied=tied)
    if f.has("attn_res_block_size"):
        last += norms(hidden, "model.output_attn_res_norm", "model.output_attn_res_proj")
    return Decoder(
        layers=layers,
        first=first,
        last=last,
        num_heads=heads,
        num_kv_heads=1,
        head_dim=mla.qk_nope_head_dim + mla.qk_rope_head_dim,
        intermediate_size=f.num("intermediate_size"),
        is_tied=tied,
        moe=moe_summary(f, shape, shared),
        mla=mla,
    )


STORED_DECAYS = 128
"""A_log is stored for 128 heads where 96 are used: the published count is met only so."""


def _delta(state: Fields, hidden: int) -> tuple[tuple[Tensor, ...], LayerCache]:
    """Return delta attention: four wide projections, a narrow forget gate, convolutions."""
    heads, dim = state.num("num_heads"), state.num("head_dim")
    wide, kernel = heads * dim, state.num("short_conv_kernel_size")
    p = "self_attn"
    tensors: tuple[Tensor, ...] = ()
    for name in ("q_proj", "k_proj", "v_proj", "g_proj"):
        tensors += linear(f"{p}.{name}", wide, hidden, Cut.ROWS, unit=dim)
    tensors += (
        *linear(f"{p}.f_a_proj", dim, hidden),
        *linear(f"{p}.f_b_proj", wide, dim, Cut.ROWS, unit=dim),
        *linear(f"{p}.b_proj", heads, hidden, Cut.ROWS),
        Tensor(name=f"{p}.conv1d", rows=3 * wide, cols=kernel, cut=Cut.ROWS, bits=32),
        vector(f"{p}.dt_bias", wide, Cut.ROWS, bits=32),
        vector(f"{p}.A_log", max(heads, STORED_DECAYS), Cut.ROWS, bits=32),
        *norms(dim, f"{p}.o_norm"),
        *linear(f"{p}.o_proj", hidden, wide, Cut.COLS, unit=dim),
    )
    return tensors, LayerCache(
        conv_state=3 * wide * (kernel - 1), ssm_state=wide * dim, ssm_state_bits=32
    )


def _narrowing(shape: Experts) -> tuple[Tensor, ...]:
    """Return the maps into the experts' own width and back; none where it is the model's."""
    width = shape.width or shape.hidden
    if width == shape.hidden:
        return ()
    p = shape.prefix
    return (
        *linear(f"{p}.routed_expert_down_proj", width, shape.hidden),
        *norms(width, f"{p}.routed_expert_norm"),
        *linear(f"{p}.routed_expert_up_proj", shape.hidden, width),
    )
