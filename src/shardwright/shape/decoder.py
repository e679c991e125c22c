"""What every builder returns, and the two questions all families answer: which layer looks how far,
and which layers are mixtures of experts.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.finding import Finding
from shardwright.model.shape import AttentionKind, Layer, Mla, Moe, Tensor
from shardwright.shape.fields import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """The text model of a checkpoint, before vision towers and quantization are added."""

    layers: tuple[Layer, ...]
    first: tuple[Tensor, ...]
    last: tuple[Tensor, ...]
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    is_tied: bool
    moe: Moe | None = None
    mla: Mla | None = None
    mtp: tuple[Layer, ...] = ()
    rope_dims: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()


_KINDS = {
    "full_attention": AttentionKind.FULL,
    "attention": AttentionKind.FULL,
    "sliding_attention": AttentionKind.SLIDING,
    "chunked_attention": AttentionKind.CHUNKED,
    "linear_attention": AttentionKind.LINEAR,
    "mamba": AttentionKind.MAMBA,
    "mamba2": AttentionKind.MAMBA,
    "moe": AttentionKind.NONE,
    "mlp": AttentionKind.NONE,
}

# model types whose config classes make every Nth layer a full one when layer_types is absent
_SLIDING_EVERY = {"gemma2": 2, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2, "gemma3n_text": 5}
# model types where sliding_window alone makes every layer slide
_ALL_SLIDING = frozenset({"mistral", "mixtral", "starcoder2", "phi3", "phimoe"})


def attention_kinds(f: Fields) -> tuple[AttentionKind, ...]:
    """Return what mixes tokens in each layer.

    layer_types says so in newer files; older ones leave it to the family's own default.

    >>> f = Fields({"num_hidden_layers": 4, "sliding_window": 128}, "gemma2", {})
    >>> [k.value for k in attention_kinds(f)]
    ['sliding', 'full', 'sliding', 'full']
    """
    num = f.num("num_hidden_layers", "n_layer", "num_layers", "n_layers")
    types = f.sequence("layer_types", "layers_block_type")
    if types:
        return tuple(_KINDS.get(str(t), AttentionKind.FULL) for t in types[:num])
    every = f.get("sliding_window_pattern", "_sliding_window_pattern")
    if every is None:
        every = _SLIDING_EVERY.get(f.model_type)
    if isinstance(every, int) and every > 1:
        return tuple(
            AttentionKind.FULL if (i + 1) % every == 0 else AttentionKind.SLIDING
            for i in range(num)
        )
    if f.flag("use_sliding_window") and f.has("sliding_window"):
        start = f.num("max_window_layers", default=0)
        return tuple(
            AttentionKind.SLIDING if i >= start else AttentionKind.FULL for i in range(num)
        )
    if f.model_type in _ALL_SLIDING and f.has("sliding_window"):
        return (AttentionKind.SLIDING,) * num
    return (AttentionKind.FULL,) * num


def moe_layers(f: Fields, num_layers: int) -> tuple[bool, ...]:
    """Return which layers route to experts; all False where the file names no experts.

    >>> file = {"n_routed_experts": 8, "first_k_dense_replace": 1}
    >>> moe_layers(Fields(file, "deepseek_v3", {}), 3)
    (False, True, True)
    """
    if (
        f.num("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", default=0)
        < 2
    ):
        return (False,) * num_layers
    types = f.sequence("mlp_layer_types")
    if types:
        return tuple(t == "sparse" for t in types[:num_layers])
    freq = f.get("moe_layer_freq")
    if isinstance(freq, list):
        return tuple(bool(v) for v in freq[:num_layers])
    chosen = f.sequence("moe_layers")
    if chosen:
        return tuple(i in chosen for i in range(num_layers))
    step = f.num("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", default=1)
    dense = f.sequence("mlp_only_layers") or []
    first = f.num("first_k_dense_replace", default=0)
    return tuple(
        i >= first and i not in dense and step > 0 and (i + 1) % step == 0
        if f.has("decoder_sparse_step") or f.has("interleave_moe_layer_step")
        else i >= first and i not in dense and i % max(step, 1) == 0
        for i in range(num_layers)
    )
