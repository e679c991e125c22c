"""How wide the small model is: which fields of config.json change, and to what.

Called by `shrink` only. Numbers are chosen so that every kernel of the CPU engine accepts them
(head sizes of vllm/v1/attention/backends/cpu_attn.py, multiples of 32 elsewhere).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shardwright.model.errors import usage_error
from shardwright.model.shape import ModelShape

HIDDEN = 256
HEAD_DIM = 32
INNER_PER_RANK = 128
EXPERT_INNER_PER_RANK = 64
VOCABULARY = 512
VOCABULARY_PADDING = 64  # vllm/model_executor/layers/vocab_parallel_embedding.py
WINDOW = 64
Q_LORA_RANK = 64

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
_HIDDEN = ("hidden_size", "n_embd", "d_model")
_INNER = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "intermediate_size_mlp")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_EXPERT_INNER = ("moe_intermediate_size", "shared_expert_intermediate_size")
_NO_MTP = ("num_nextn_predict_layers", "mtp_num_hidden_layers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Sizes of the small model. heads and kv_heads are of the whole model, not of a rank."""

    tensor_parallel: int
    heads: int
    kv_heads: int

    @classmethod
    def of(cls, published: ModelShape, planned_tp: int, rehearsed_tp: int) -> Widths:
        """Keep what a rank holds: query heads per KV head, and KV heads split or replicated.

        Several KV heads on a rank shrink to two, never to one; replicas stay replicas.

        >>> from shardwright.shape import load
        >>> Widths.of(load("meta-llama/Llama-3.1-405B"), 8, 2)  # 128 query heads, 8 KV heads
        Widths(tensor_parallel=2, heads=32, kv_heads=2)
        """
        heads, kv_heads = published.num_attention_heads, published.num_kv_heads or 1
        if published.is_mla:
            kv_heads = heads
        if heads % planned_tp:
            raise usage_error(
                "heads-not-divisible",
                f"{heads} attention heads cannot be divided by TP={planned_tp}",
                remedy="plan a tensor_parallel that divides them",
            )
        group = heads // kv_heads
        if kv_heads >= planned_tp:
            per_rank = kv_heads // planned_tp
            small_kv = rehearsed_tp * min(per_rank, 2)
        else:
            copies = min(planned_tp // kv_heads, rehearsed_tp)
            small_kv = max(1, rehearsed_tp // copies)
        return cls(tensor_parallel=rehearsed_tp, heads=small_kv * group, kv_heads=small_kv)


def narrow(
    text: Mapping[str, Any], published: ModelShape, widths: Widths, num_layers: int
) -> dict[str, Any]:
    """Return the config with every width, count and per-layer list made small."""
    small = dict(text)
    heads_wide = published.num_attention_heads * published.head_dim
    has_head_dim = text.get("head_dim") is not None or heads_wide != published.hidden_size
    if has_head_dim and not published.is_mla:
        small["head_dim"] = HEAD_DIM
    hidden = HIDDEN if has_head_dim or published.is_mla else widths.heads * HEAD_DIM
    _set(small, _LAYERS, num_layers)
    _set(small, _HEADS, widths.heads)
    _set(small, _KV_HEADS, widths.kv_heads)
    _set(small, _HIDDEN, hidden)
    _set(small, _INNER, INNER_PER_RANK * widths.tensor_parallel)
    _set(small, _EXPERT_INNER, EXPERT_INNER_PER_RANK * widths.tensor_parallel)
    small["vocab_size"] = VOCABULARY + published.vocab_size % VOCABULARY_PADDING
    _set(small, ("sliding_window",), WINDOW)
    _set(small, ("q_lora_rank",), Q_LORA_RANK)
    _set(small, _NO_MTP, 0)
    if text.get("first_k_dense_replace"):
        small["first_k_dense_replace"] = (
            1  # so that every stage holds a mixture, as it does at size
        )
    if text.get("rotary_dim"):
        small["rotary_dim"] = text["rotary_dim"] * HEAD_DIM // published.head_dim
    if published.moe is not None:
        _set(small, _EXPERTS, _num_experts(small, published))
    for name, value in text.items():
        if isinstance(value, list | str) and len(value) == published.num_layers:
            small[name] = value[:num_layers]
    rope_pairs = [dim // 2 for dim in published.rope_dims]
    for name in ("rope_scaling", "rope_parameters"):
        if isinstance(text.get(name), Mapping):
            small[name] = _narrow_rope(text[name], rope_pairs, HEAD_DIM)
    return small


def _num_experts(small: Mapping[str, Any], published: ModelShape) -> int:
    """Few experts, but more than a token visits, and at least two in each routing group."""
    groups = int(small.get("n_group") or 1)
    wanted = max(2 * published.experts_per_token, 2 * groups, 8)
    return min(published.num_experts, wanted + -wanted % groups)


def _narrow_rope(
    rope: Mapping[str, Any], published_pairs: list[int], head_dim: int
) -> dict[str, Any]:
    """Shorten the per-frequency factors (longrope has one for each pair of a head's dimensions)."""
    out: dict[str, Any] = {}
    for name, value in rope.items():
        if isinstance(value, Mapping):
            out[name] = _narrow_rope(value, published_pairs, head_dim)
        elif isinstance(value, list) and len(value) in published_pairs:
            out[name] = value[: head_dim // 2]
        else:
            out[name] = value
    return out


def _set(config: dict[str, Any], names: tuple[str, ...], value: int) -> None:
    """Set the fields that the published file has; what it leaves out stays out."""
    for name in names:
        if config.get(name) is not None:
            config[name] = value
