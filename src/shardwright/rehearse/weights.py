"""Names and random values of the small model's tensors, as the published checkpoints name them.

`tensors` lists what is stored; `values` fills one tensor from a seed, the same bytes everywhere.
`drive.checkpoint` writes them; the engine's own loader reads them, so the loading path is proved.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from shardwright.model.shape import ModelShape, Tensor
from shardwright.rehearse import tokenizer
from shardwright.rehearse.names import Piece, own_shape, pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOGIT_SPREAD = 4.0
"""Standard deviation of the logits: wide enough that the best token is rarely a tie in bfloat16."""
ROUTER_SPREAD = 3.0
"""Standard deviation of router logits: some experts far ahead of the others, so that swapping the
last chosen expert for the next one (rounding differs with TP) hardly moves the answer; no wider, as
larger logits are rounded more coarsely in bfloat16."""
ROUTER_OF_FEW_SPREAD = 8.0
"""The same where a token visits one or two experts, and the last chosen one weighs more."""
TIED_SPREAD = 0.05
"""Standard deviation of an embedding that is the head too: small beside what the layers add, or
the best next token is the last one again. The final norm makes up for it."""
QUIET = 0.25
"""Factor on the head's rows of tokens that are not plain text, so that answers can be read."""

_BARE = (".bias", ".sinks", "_bias", ".A_log", ".dt_bias")
"""Endings of tensors that are stored without `.weight`."""


class Fill(Enum):
    """What a tensor is filled with."""

    LINEAR = "linear"
    EMBEDDING = "embedding"
    HEAD = "head"
    TIED = "tied"
    NORM = "norm"
    TIED_NORM = "tied-norm"
    SMALL = "small"
    ROUTER = "router"
    ROUTER_OF_FEW = "router-of-few"
    SELECTION = "selection"
    """Added to a router's scores only to choose experts; wide, so the choice is firm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One tensor of the file. fan_in: inputs that each of its outputs sums over."""

    name: str
    shape: tuple[int, ...]
    fan_in: int
    fill: Fill

    @property
    def num_bytes(self) -> int:
        """Size in bfloat16."""
        size = 2
        for n in self.shape:
            size *= n
        return size


def tensors(model: ModelShape) -> Iterator[Stored]:
    """List the stored tensors in file order: embedding, layers, final norm and head."""
    for tensor in model.first:
        yield _stored(tensor, (tensor.name, own_shape(tensor), tensor.cols), model)
    for index, layer in enumerate(model.layers):
        for tensor in layer.tensors:
            for name, shape, fan_in in pieces(tensor, model.model_type):
                yield _stored(tensor, (f"model.layers.{index}.{name}", shape, fan_in), model)
    for tensor in model.last:
        yield _stored(tensor, (tensor.name, own_shape(tensor), tensor.cols), model)


def _stored(tensor: Tensor, piece: Piece, model: ModelShape) -> Stored:
    name, shape, fan_in = piece
    bare = name.endswith(_BARE) or len(shape) == 3
    full = name if bare else f"{name}.weight"
    return Stored(name=full, shape=shape, fan_in=fan_in, fill=_fill(tensor, name, model))


def _fill(tensor: Tensor, name: str, model: ModelShape) -> Fill:
    if name.endswith("e_score_correction_bias"):
        return Fill.SELECTION
    if model.moe is not None and name.removesuffix(".bias").endswith((".gate", ".router")):
        return Fill.ROUTER if model.experts_per_token > 2 else Fill.ROUTER_OF_FEW
    if name.endswith(_BARE):
        return Fill.SMALL
    if name.endswith("embed_tokens"):
        return Fill.TIED if model.tie_word_embeddings else Fill.EMBEDDING
    if model.tie_word_embeddings and name in ("model.norm", "model.final_layernorm"):
        return Fill.TIED_NORM
    if name == "lm_head":
        return Fill.HEAD
    return Fill.LINEAR if tensor.is_linear else Fill.NORM


def values(stored: Stored, seed: int) -> NDArray[np.uint16]:
    """Return a tensor's bfloat16 values as 16-bit words, uniform around 0 (norms: around 1).

    Raw words of PCG64 are used, not a distribution of numpy's: those may change between releases.
    """
    import numpy as np

    count = stored.num_bytes // 2
    bits = np.random.PCG64([seed, zlib.crc32(stored.name.encode())])
    words = bits.random_raw((count + 1) // 2).view(np.uint32)[:count]
    unit = words.astype(np.float32) * np.float32(2.0**-31) - np.float32(1)
    spread = {
        Fill.LINEAR: stored.fan_in**-0.5,
        Fill.EMBEDDING: 1.0,
        Fill.HEAD: LOGIT_SPREAD * stored.fan_in**-0.5,
        Fill.TIED: TIED_SPREAD,
        Fill.NORM: 0.1,
        Fill.TIED_NORM: 0.1,
        Fill.SMALL: 0.02,
        Fill.ROUTER: ROUTER_SPREAD * stored.fan_in**-0.5,
        Fill.ROUTER_OF_FEW: ROUTER_OF_FEW_SPREAD * stored.fan_in**-0.5,
        Fill.SELECTION: 2.0,
    }[stored.fill]
    filled = unit * np.float32(spread * 3**0.5)
    if stored.fill is Fill.NORM:
        filled += np.float32(1)
    if stored.fill is Fill.TIED_NORM:
        filled += np.float32(LOGIT_SPREAD / (TIED_SPREAD * stored.shape[0] ** 0.5))
    if stored.fill in (Fill.HEAD, Fill.TIED):
        filled = filled.reshape(stored.shape)
        loud = np.full(stored.shape[0], QUIET, dtype=np.float32)
        loud[tokenizer.readable_ids()] = 1
        filled = filled * loud[:, None]
    return bfloat16(filled.reshape(stored.shape))


def bfloat16(array: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round float32 to the nearest bfloat16, ties to even, as 16-bit words.

    >>> import numpy as np
    >>> [hex(w) for w in bfloat16(np.array([1.0, -2.5, 1.00390625], dtype=np.float32))]
    ['0x3f80', '0xc020', '0x3f80']
    """
    import numpy as np

    words = array.view(np.uint32)
    rounded = words + np.uint32(0x7FFF) + ((words >> np.uint32(16)) & np.uint32(1))
    out: NDArray[np.uint16] = (rounded >> np.uint32(16)).astype(np.uint16)
    return out
