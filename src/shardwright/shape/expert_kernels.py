"""How the kernels of MXFP4 experts hold a rank's weights: padded, scales and values apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shardwright.model.shape import Cut, Tensor
from shardwright.shape.schemes import MXFP4


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertPads:
    """What a kernel for MXFP4 experts pads a rank's features to.

    rows, cols: of the values. scale_rows: rows of the scales, gate and up counted together.
    bias_bytes: width of a bias as the kernel reads it; None for the model's own. left_bytes: what
    loading leaves allocated beside the tensors.
    """

    rows: int
    cols: int
    scale_rows: int = 1
    bias_bytes: int | None = None
    left_bytes: int = 0


MXFP4_HOPPER = ExpertPads(
    rows=64, cols=64, scale_rows=256, bias_bytes=4, left_bytes=118_000_000
)  # fmt: skip
"""vLLM's Triton backend. Source: vLLM 0.25.1, fused_moe/oracle/mxfp4.py (features of a rank to 64,
float32 biases), triton_kernels hopper_value.py (16 x 64 values) and hopper_scale.py (256 rows).
What is left was 145 MB for gpt-oss-20b and 94 MB for 120b at TP=2 (2026-11-27), cause unknown."""
MXFP4_BLACKWELL = ExpertPads(rows=256, cols=256)
"""vLLM's TensorRT-LLM kernels there, hidden size and features alike. Source: the same oracle."""
MXFP4_BEFORE = ExpertPads(rows=64, cols=256)
"""Before vLLM 0.12 and the kernels that came with it (gpt-oss-20b on H100, 0.11.0: 13.47 GiB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Padded:
    """One expert's tensor as a kernel holds it. scale_bytes: what of num_bytes are scales."""

    rows: int
    cols: int
    num_bytes: int
    scale_bytes: int


def pads_of(tensors: Iterable[Tensor], pads: ExpertPads) -> ExpertPads | None:
    """Return the pads where the layer's experts are MXFP4."""
    return pads if any(t.scheme is MXFP4 and t.is_routed for t in tensors) else None


def padded(tensor: Tensor, rows: int, cols: int, pads: ExpertPads, element_bytes: int) -> Padded:
    """Pad a rank's share of one expert's tensor: rows x cols of a weight, or rows of a bias."""
    rows = _up_to(rows, pads.rows)
    if tensor.scheme is None:
        width = pads.bias_bytes or element_bytes
        return Padded(rows=rows, cols=cols, num_bytes=rows * cols * width, scale_bytes=0)
    cols = _up_to(cols, pads.cols)
    halves = 2 if tensor.cut is Cut.ROWS else 1  # gate and up are one tensor to the kernel
    scales = _up_to(rows, max(1, pads.scale_rows // halves)) * (cols // MXFP4.group[1])
    return Padded(rows=rows, cols=cols, num_bytes=rows * cols // 2 + scales, scale_bytes=scales)


def _up_to(value: int, unit: int) -> int:
    return -(-value // unit) * unit
