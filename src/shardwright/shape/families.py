"""The table of families of the common form, keyed by model_type.

Each row is a difference from Llama; sources are the published modelling code of the family.
"""

from __future__ import annotations

from shardwright.shape.fields import Fields
from shardwright.shape.pieces import AttentionStyle, Experts
from shardwright.shape.standard import Family, expert_fields, shared_expert

_FOUR_NORMS = (
    "input_layernorm", "post_attention_layernorm",
    "pre_feedforward_layernorm", "post_feedforward_layernorm",
)  # fmt: skip
_POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")


def _style(**style: object) -> AttentionStyle:
    return AttentionStyle(**style)  # type: ignore[arg-type]


def _plain_experts(f: Fields, hidden: int) -> Experts:
    return expert_fields(f, hidden)


def _granite_experts(f: Fields, hidden: int) -> Experts:
    return Experts(hidden=hidden, num=f.num("num_local_experts"), inner=f.num("intermediate_size"))


GENERIC = Family(
    moe=_plain_experts,
    moe_extra=lambda f: shared_expert(f, has_gate=False),
)
"""What an unknown decoder is taken for: Llama's attention, experts where the file names some."""

PLAIN = Family(norm_bias=True, is_gated=False, mlp_bias=lambda _f: True)
"""What an unknown decoder with an ungated activation is taken for: GPT's MLP, with biases."""

_UNGATED = frozenset({"gelu", "gelu_new", "gelu_fast", "relu", "relu2", "relu_squared"})


def generic(f: Fields) -> Family:
    """Return the nearest form of a decoder we do not know, by its activation."""
    act = f.get("hidden_act", "activation_function", "hidden_activation")
    return PLAIN if act in _UNGATED else GENERIC


FAMILIES: dict[str, Family] = {
    "llama": Family(),
    "mistral": Family(),
    "ministral3": Family(),
    "granite": Family(),
    "seed_oss": Family(
        attention=lambda f: _style(
            qkv_bias=f.flag("attention_bias", default=True), out_bias=f.flag("attention_out_bias")
        )
    ),
    "smollm3": Family(),
    "helium": Family(),
    "ernie4_5": Family(),
    "arcee": Family(is_gated=False),
    "glm": Family(attention=lambda f: _style(qkv_bias=f.flag("attention_bias", default=True))),
    "exaone4": Family(attention=lambda _f: _style(qk_norm="head"), norms=_POST_NORMS),
    "olmo2": Family(attention=lambda _f: _style(qk_norm="full"), norms=_POST_NORMS),
    "olmo3": Family(attention=lambda _f: _style(qk_norm="full"), norms=_POST_NORMS),
    "olmoe": Family(attention=lambda _f: _style(qk_norm="full"), moe=_plain_experts),
    "qwen2": Family(attention=lambda _f: _style(qkv_bias=True)),
    "qwen3": Family(
        attention=lambda f: _style(
            qkv_bias=f.flag("attention_bias"), out_bias=f.flag("attention_bias"), qk_norm="head"
        ),
        head_dim=128,
    ),
    "qwen2_moe": Family(
        attention=lambda f: _style(qkv_bias=f.flag("qkv_bias", default=True)),
        moe=_plain_experts,
        moe_extra=lambda f: shared_expert(f, has_gate=True),
    ),
    "qwen3_moe": Family(
        attention=lambda f: _style(
            qkv_bias=f.flag("attention_bias"), out_bias=f.flag("attention_bias"), qk_norm="head"
        ),
        moe=_plain_experts,
    ),
    "mixtral": Family(
        moe=lambda f, hidden: Experts(
            hidden=hidden,
            num=f.num("num_local_experts", default=8),
            inner=f.num("intermediate_size"),
            prefix="block_sparse_moe",
        ),
    ),
    "phi3": Family(),
    "phimoe": Family(
        norm_bias=True,
        moe=lambda f, hidden: Experts(
            hidden=hidden,
            num=f.num("num_local_experts"),
            inner=f.num("intermediate_size"),
            prefix="block_sparse_moe",
        ),
        head_bias=True,
    ),
    "gemma": Family(is_tied=True, head_dim=256),
    "gemma2": Family(is_tied=True, norms=_FOUR_NORMS, head_dim=256),
    "gemma3_text": Family(
        is_tied=True,
        attention=lambda _f: _style(qk_norm="head"),
        norms=_FOUR_NORMS,
        head_dim=256,
    ),
    "cohere": Family(
        is_tied=True,
        attention=lambda f: _style(
            qk_norm="per-head" if f.flag("use_qk_norm") else None,
            qkv_bias=f.flag("attention_bias"),
            out_bias=f.flag("attention_bias"),
        ),
        norms=("input_layernorm",),
    ),
    "cohere2": Family(is_tied=True, norms=("input_layernorm",)),
    "starcoder2": Family(
        is_tied=True,
        attention=lambda f: _style(
            qkv_bias=f.flag("use_bias", default=True), out_bias=f.flag("use_bias", default=True)
        ),
        norm_bias=True,
        is_gated=False,
        mlp_bias=lambda f: f.flag("use_bias", default=True),
    ),
    "opt": Family(
        is_tied=True,
        attention=lambda f: _style(
            qkv_bias=f.flag("enable_bias", default=True),
            out_bias=f.flag("enable_bias", default=True),
            out_name="out_proj",
        ),
        norms=("self_attn_layer_norm", "final_layer_norm"),
        norm_bias=True,
        is_gated=False,
        mlp_bias=lambda f: f.flag("enable_bias", default=True),
        positions=lambda f: f.num("max_position_embeddings") + 2,
    ),
    "glm4": Family(
        attention=lambda f: _style(qkv_bias=f.flag("attention_bias")),
        norms=(
            "input_layernorm", "post_attention_layernorm", "post_self_attn_layernorm",
            "post_mlp_layernorm",
        ),
    ),
    "glm4_moe": Family(
        attention=lambda f: _style(
            qkv_bias=f.flag("attention_bias"), qk_norm="head" if f.flag("use_qk_norm") else None
        ),
        moe=lambda f, hidden: expert_fields(f, hidden, has_score_correction=True),
        moe_extra=shared_expert,
    ),
    "minimax_m2": Family(
        attention=lambda f: _style(
            qk_norm="full" if f.flag("use_qk_norm", default=True) else None
        ),
        moe=lambda f, hidden: Experts(
            hidden=hidden,
            num=f.num("num_local_experts"),
            inner=f.num("intermediate_size"),
            has_score_correction=f.flag("use_routing_bias", default=True),
            prefix="block_sparse_moe",
        ),
    ),
    "gpt_oss": Family(
        attention=lambda _f: _style(qkv_bias=True, out_bias=True, has_sinks=True),
        moe=lambda f, hidden: Experts(
            hidden=hidden,
            num=f.num("num_local_experts", "num_experts"),
            inner=f.num("intermediate_size"),
            bias=True,
            router_bias=True,
            router="router",
        ),
        head_dim=64,
    ),
    "granitemoe": Family(is_tied=True, moe=_granite_experts),
    "qwen3_vl_text": Family(
        attention=lambda f: _style(
            qkv_bias=f.flag("attention_bias"), out_bias=f.flag("attention_bias"), qk_norm="head"
        ),
        head_dim=128,
    ),
    "qwen3_vl_moe_text": Family(
        attention=lambda f: _style(
            qkv_bias=f.flag("attention_bias"), out_bias=f.flag("attention_bias"), qk_norm="head"
        ),
        moe=_plain_experts,
        head_dim=128,
    ),
}  # fmt: skip
