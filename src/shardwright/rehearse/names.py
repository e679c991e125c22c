"""Names and shapes under which published checkpoints store the tensors of a layer.

The shape room says what a family stores; most families store it under those very names. What is
different is here: experts by number, experts under Mixtral's names, gpt-oss's stacked experts.
"""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.model.shape import Tensor

Piece = tuple[str, tuple[int, ...], int]
"""Name inside the layer, without `.weight`; shape; inputs that each output sums over."""

_MIXTRAL = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
_MIXTRAL_NAMED = frozenset({"mixtral", "phimoe", "minimax_m2"})
_STACKED = frozenset({"gpt_oss"})


def pieces(tensor: Tensor, model_type: str) -> Iterator[Piece]:
    """Yield what is stored for a tensor of a layer.

    >>> up = Tensor(name="mlp.experts.up_proj", rows=8, cols=4, copies=2, is_linear=True,
    ...             is_routed=True)
    >>> [name for name, _, _ in pieces(up, "qwen3_moe")]
    ['mlp.experts.0.up_proj', 'mlp.experts.1.up_proj']
    """
    if not tensor.is_routed:
        yield tensor.name, own_shape(tensor), tensor.cols
        return
    if model_type in _STACKED:
        yield from _stacked(tensor)
        return
    block, _, projection = tensor.name.partition(".experts.")
    if model_type in _MIXTRAL_NAMED:
        name, dot, rest = projection.partition(".")
        projection = _MIXTRAL[name] + dot + rest
    for expert in range(tensor.copies):
        yield f"{block}.experts.{expert}.{projection}", own_shape(tensor), tensor.cols


def own_shape(tensor: Tensor) -> tuple[int, ...]:
    """Return a matrix's shape; a vector has rows only."""
    is_vector = tensor.cols == 1 and not tensor.is_linear
    return (tensor.rows,) if is_vector else (tensor.rows, tensor.cols)


def _stacked(tensor: Tensor) -> Iterator[Piece]:
    """Yield gpt-oss's experts: all in one tensor, inputs first, gate and up interleaved."""
    block, _, projection = tensor.name.partition(".experts.")
    name, _, bias = projection.partition(".")
    if name == "up_proj":
        return  # stored with the gate
    rows = 2 * tensor.rows if name == "gate_proj" else tensor.rows
    stored = f"{block}.experts.{'gate_up_proj' if name == 'gate_proj' else name}"
    if bias:
        yield f"{stored}_bias", (tensor.copies, rows), 1
    else:
        yield stored, (tensor.copies, tensor.cols, rows), tensor.cols
