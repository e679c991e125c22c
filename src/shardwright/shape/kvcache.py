"""The KV cache as vLLM lays it out: groups of layers that share blocks, and tokens as it logs them.

A block holds block_size tokens of one group of layers. Layers that look back differently are in
different groups, all of one page size, and share one pool of blocks; so a hybrid model's pool is
counted in groups. Source: vLLM 0.19 to 0.32, v1/core/kv_cache_utils.py, v1/kv_cache_interface.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardwright.model.layout import Layout, Stage
from shardwright.model.shape import AttentionKind, LayerCache, ModelShape
from shardwright.shape.split import ceil_div, dtype_bytes

BLOCK_TOKENS = 16
"""vLLM's block size on CUDA unless the attention backend asks for another."""

_STATES = (AttentionKind.LINEAR, AttentionKind.MAMBA)
_WINDOWED = (AttentionKind.SLIDING, AttentionKind.CHUNKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class KvGroup:
    """Layers that share a block table. window: tokens looked back at; None for all, 0 for a state.

    block_tokens: tokens in one block of this group. layers: their indices.
    """

    kind: AttentionKind
    window: int | None
    block_tokens: int
    layers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KvLayout:
    """Groups, and bytes of one block on a rank of each stage; no groups: nothing is cached."""

    groups: tuple[KvGroup, ...]
    block_bytes: tuple[int, ...]

    @property
    def block_tokens(self) -> int:
        """Tokens in the smallest block of any attention group."""
        return min((g.block_tokens for g in self.groups if g.window != 0), default=BLOCK_TOKENS)


def kv_element_bytes(kv_cache_dtype: str | None, model_dtype: str) -> int:
    """Return bytes per cached element; None or "auto" is the model's own dtype.

    >>> kv_element_bytes("fp8", "bfloat16"), kv_element_bytes("auto", "bfloat16")
    (1, 2)
    """
    name = (kv_cache_dtype or "auto").lower()
    if name.startswith(("fp8", "int8", "float8")):
        return 1
    return dtype_bytes(model_dtype if name == "auto" else name)


def token_bytes(cache: LayerCache, tensor_parallel: int, element_bytes: int) -> int:
    """Return KV bytes one token takes in one layer on one rank; 0 for a state layer.

    A latent is whole on every rank; a KV head is repeated where ranks outnumber heads.

    >>> token_bytes(LayerCache(num_heads=8, key_dim=128, value_dim=128), 16, 2)
    512
    """
    if cache.is_latent:
        return (cache.key_dim * element_bytes + cache.indexer_bytes) // cache.compress
    heads = ceil_div(cache.num_heads, tensor_parallel)
    return heads * (cache.key_dim + cache.value_dim) * element_bytes


def state_bytes(cache: LayerCache, tensor_parallel: int, element_bytes: int) -> int:
    """Return bytes of one sequence's fixed state in one layer on one rank; 0 for attention."""
    bits = cache.ssm_state_bits or 8 * element_bytes
    conv = ceil_div(cache.conv_state, tensor_parallel) * element_bytes
    return conv + ceil_div(cache.ssm_state, tensor_parallel) * bits // 8


def kv_bytes_per_token(
    shape: ModelShape, layout: Layout, stage: Stage, kv_cache_dtype: str | None = None
) -> int:
    """Return KV bytes of one token over all layers of a stage on one rank, windows left out.

    >>> from shardwright.shape import load
    >>> stage = Stage(index=0, first_layer=0, num_layers=80)
    >>> kv_bytes_per_token(load("meta-llama/Llama-3.1-70B"), Layout(tensor_parallel=2), stage)
    163840
    """
    width = kv_element_bytes(kv_cache_dtype, shape.dtype)
    layers = shape.layers[stage.first_layer : stage.first_layer + stage.num_layers]
    return sum(token_bytes(x.cache, layout.tensor_parallel, width) for x in layers)


def kv_layout(
    shape: ModelShape,
    layout: Layout,
    stages: Sequence[Stage],
    *,
    kv_cache_dtype: str | None = None,
    dtype: str | None = None,
) -> KvLayout:
    """Return the groups vLLM makes of a model's layers, and the block size in bytes per stage."""
    width = kv_element_bytes(kv_cache_dtype, dtype or shape.dtype)
    state_width = dtype_bytes(dtype or shape.dtype)
    tp = layout.tensor_parallel
    by_kind: dict[tuple[AttentionKind, int | None, int], list[int]] = {}
    state = 0
    for index, layer in enumerate(shape.layers):
        per_token = token_bytes(layer.cache, tp, width)
        if layer.shares_cache_with_earlier:
            continue
        if layer.attention in _STATES:
            state = max(state, state_bytes(layer.cache, tp, state_width))
            by_kind.setdefault((layer.attention, 0, 0), []).append(index)
        elif per_token:
            windowed = layer.attention in _WINDOWED and layer.cache.window is not None
            window = layer.cache.window if windowed else None
            kind = layer.attention if windowed else AttentionKind.FULL
            by_kind.setdefault((kind, window, per_token), []).append(index)
    if not by_kind:
        return KvLayout(groups=(), block_bytes=(0,) * len(stages))
    per_token = max(key[2] for key in by_kind)
    if len({k[:2] for k in by_kind}) == 1 and per_token:
        return _one_group(by_kind, stages)
    block = BLOCK_TOKENS
    if state and per_token:
        block *= ceil_div(state, BLOCK_TOKENS * per_token)
    page = max(block * per_token, state)
    groups = _groups(by_kind, page, block)
    return KvLayout(
        groups=groups, block_bytes=tuple(page * _most_layers(groups, s) for s in stages)
    )


def _one_group(
    by_kind: dict[tuple[AttentionKind, int | None, int], list[int]], stages: Sequence[Stage]
) -> KvLayout:
    """Put layers of one kind into one group, whatever each takes per token."""
    bytes_of = {i: key[2] for key, layers in by_kind.items() for i in layers}
    kind, window, _ = next(iter(by_kind))
    group = KvGroup(
        kind=kind, window=window, block_tokens=BLOCK_TOKENS, layers=tuple(sorted(bytes_of))
    )
    sizes = tuple(
        BLOCK_TOKENS * sum(b for i, b in bytes_of.items() if 0 <= i - s.first_layer < s.num_layers)
        for s in stages
    )
    return KvLayout(groups=(group,), block_bytes=sizes)


def _groups(
    by_kind: dict[tuple[AttentionKind, int | None, int], list[int]], page: int, block: int
) -> tuple[KvGroup, ...]:
    """Cut each kind into groups of equal layer counts: the rarest kind's count, or the commonest's
    where that is less than half as large again.
    """
    counts = [len(layers) for layers in by_kind.values()]
    size = max(counts) if max(counts) < 1.5 * min(counts) else min(counts)
    out = []
    for (kind, window, per_token), layers in by_kind.items():
        parts = ceil_div(len(layers), size)
        tokens = page // per_token if per_token and page % per_token == 0 else block
        out += [
            KvGroup(kind=kind, window=window, block_tokens=tokens, layers=tuple(layers[i::parts]))
            for i in range(parts)
        ]
    return tuple(out)


def _most_layers(groups: Sequence[KvGroup], stage: Stage) -> int:
    return max(sum(0 <= i - stage.first_layer < stage.num_layers for i in g.layers) for g in groups)


def kv_tokens(
    kv: KvLayout, available_bytes: Sequence[int], *, max_model_len: int,
    in_flight_tokens: int | None = None,
) -> int:  # fmt: skip
    """Return the KV cache size in tokens as vLLM logs it; the fullest stage decides.

    in_flight_tokens: None for versions that divide blocks among groups; newer ones (0.24 on) say
    how many requests of max_model_len fit, times max_model_len, and a windowed group holds its
    window and the tokens in flight.
    """
    if not kv.groups:
        return 0
    blocks = min(
        (int(have // size) for have, size in zip(available_bytes, kv.block_bytes, strict=True)
         if size),
        default=0,
    )  # fmt: skip
    if blocks <= 0:
        return 0
    if in_flight_tokens is None:
        return blocks // len(kv.groups) * kv.block_tokens
    per_request = sum(_blocks_per_request(g, max_model_len, in_flight_tokens) for g in kv.groups)
    return int(blocks / per_request * max_model_len)


def _blocks_per_request(group: KvGroup, max_model_len: int, in_flight: int) -> int:
    if group.window == 0:
        return 1
    if group.window is None:
        return ceil_div(max_model_len, group.block_tokens)
    if group.kind is AttentionKind.CHUNKED:
        return ceil_div(min(group.window + in_flight, max_model_len), group.block_tokens)
    held = min(group.window - 1 + in_flight, max_model_len)
    return ceil_div(held, group.block_tokens) + 1
