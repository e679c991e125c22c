"""What one forward pass computes, as sizes: matrix products, experts, attention, cached state.

Made from a ModelShape; read by `shardwright.planner.steptime`, which turns sizes into time.
Nothing here knows a GPU, an engine or a layout.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from shardwright.model.shape import AttentionKind, Cut, Layer, MlpKind, ModelShape, Tensor


class Role(Enum):
    """What a matrix product is for: its stored precision and its cut depend on it."""

    ATTENTION = "attention"
    MLP = "mlp"
    SHARED_EXPERT = "shared-expert"
    ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Gemm:
    """A matrix product of every token with a rows x cols weight, done in `count` layers."""

    role: Role
    rows: int
    cols: int
    cut: Cut
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedExperts:
    """Routed experts of `count` layers; weights_per_expert: elements of one expert's matrices."""

    count: int
    num_experts: int
    experts_per_token: int
    weights_per_expert: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Attention of `count` layers that look equally far.

    kv_elements: cached per token over all heads; pair_flops: operations per (query, key) pair over
    all heads; is_latent: the cache is one latent that every tensor-parallel rank holds whole.
    """

    count: int
    num_kv_heads: int
    kv_elements: int
    pair_flops: int
    window: int | None
    is_latent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOps:
    """Sizes of one forward pass of a whole model, before any cut.

    head_rows x hidden_size is the output projection, for sampled tokens only. state_elements: read
    and written per sequence and step by layers that keep a fixed state.
    """

    hidden_size: int
    head_rows: int
    num_layers: int
    num_moe_layers: int
    num_state_layers: int
    num_latent_layers: int
    gemms: tuple[Gemm, ...]
    experts: tuple[RoutedExperts, ...]
    attention: tuple[Attention, ...]
    state_elements: int


@lru_cache(maxsize=256)
def ops_of(shape: ModelShape) -> ModelOps:
    """Return the sizes of one forward pass.

    Projections that engines fuse (query with key and value, gate with up) are one product.
    """
    gemms: Counter[tuple[Role, int, int, Cut]] = Counter()
    experts: Counter[tuple[int, int]] = Counter()
    attention: Counter[tuple[int, int, int, int | None, bool]] = Counter()
    state = 0
    for layer, count in _distinct(shape.layers):
        for gemm in _fused(layer):
            gemms[gemm] += count
        if routed := [t for t in layer.tensors if t.is_routed and t.cols > 1]:
            num = routed[0].copies
            experts[num, sum(t.rows * t.cols for t in routed)] += count
        key = _attention(shape, layer)
        if key is not None:
            attention[key] += count
        state += (layer.cache.conv_state + layer.cache.ssm_state) * count
    per_token = shape.experts_per_token
    return ModelOps(
        hidden_size=shape.hidden_size,
        head_rows=shape.vocab_size,
        num_layers=shape.num_layers,
        num_moe_layers=sum(layer.mlp is MlpKind.MOE for layer in shape.layers),
        num_state_layers=sum(
            layer.attention in (AttentionKind.LINEAR, AttentionKind.MAMBA) for layer in shape.layers
        ),
        num_latent_layers=sum(layer.cache.is_latent for layer in shape.layers),
        gemms=tuple(Gemm(*key, count) for key, count in gemms.items()),
        experts=tuple(
            RoutedExperts(
                count=count,
                num_experts=num,
                experts_per_token=per_token,
                weights_per_expert=weights,
            )
            for (num, weights), count in experts.items()
        ),
        attention=tuple(
            Attention(
                count=count,
                num_kv_heads=heads,
                kv_elements=elements,
                pair_flops=flops,
                window=window,
                is_latent=latent,
            )
            for (heads, elements, flops, window, latent), count in attention.items()
        ),
        state_elements=state,
    )


def _distinct(layers: tuple[Layer, ...]) -> list[tuple[Layer, int]]:
    """Group layers that share one tuple of tensors, as builders make them."""
    groups: dict[tuple[int, AttentionKind, int | None], tuple[Layer, int]] = {}
    for layer in layers:
        key = (id(layer.tensors), layer.attention, layer.cache.window)
        groups[key] = (layer, groups.get(key, (layer, 0))[1] + 1)
    return list(groups.values())


def _role(tensor: Tensor) -> Role:
    name = tensor.name
    if "shared_expert" in name and not name.endswith("gate"):
        return Role.SHARED_EXPERT
    if name.endswith(("router", ".gate", "shared_expert_gate")):
        return Role.ROUTER
    if "attn" in name or "attention" in name or "mixer" in name or "mamba" in name:
        return Role.ATTENTION
    return Role.MLP


def _fused(layer: Layer) -> list[tuple[Role, int, int, Cut]]:
    """Return the matrix products of one layer, input-sharing ones fused."""
    rows: Counter[tuple[Role, int, Cut]] = Counter()
    out: list[tuple[Role, int, int, Cut]] = []
    for tensor in layer.tensors:
        if not tensor.is_linear or tensor.is_routed or tensor.cols == 1:
            continue
        role = _role(tensor)
        if tensor.cut is Cut.COLS:
            out.append((role, tensor.rows * tensor.copies, tensor.cols, Cut.COLS))
        else:
            cut = Cut.NONE if tensor.cut is Cut.NONE else Cut.ROWS
            rows[role, tensor.cols, cut] += tensor.rows * tensor.copies
    out.extend((role, total, cols, cut) for (role, cols, cut), total in rows.items())
    return out


def _attention(shape: ModelShape, layer: Layer) -> tuple[int, int, int, int | None, bool] | None:
    """Return (KV heads, cached elements, operations per pair, window, is latent); None: no cache.

    Two operations per multiply-add, once for scores and once for values. MLA is counted at its
    prefill form (full heads); in decode it is bound by the latent's bytes.
    """
    cache = layer.cache
    if layer.attention in (AttentionKind.LINEAR, AttentionKind.MAMBA, AttentionKind.NONE):
        return None
    if shape.mla is not None and cache.is_latent:
        m = shape.mla
        dims = m.qk_nope_head_dim + m.qk_rope_head_dim + m.v_head_dim
        return 1, cache.key_dim, 2 * shape.num_attention_heads * dims, cache.window, True
    elements = cache.num_heads * (cache.key_dim + cache.value_dim)
    if not elements:
        return None
    flops = 2 * shape.num_attention_heads * (cache.key_dim + cache.value_dim)
    return cache.num_heads, elements, flops, cache.window, False
