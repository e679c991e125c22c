"""How quantized weights are stored: bits, scales, zero points. Sources beside each scheme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shardwright.model.shape import Granularity, WeightScheme

FP8_TENSOR = WeightScheme(
    name="fp8", weight_bits=8, granularity=Granularity.TENSOR, scale_bits=32, activation_bits=8
)
"""What vLLM makes of `--quantization fp8`: one float32 scale per fused weight."""

FP8_CHANNEL = WeightScheme(
    name="fp8-channel", weight_bits=8, granularity=Granularity.CHANNEL, scale_bits=32,
    activation_bits=8,
)  # fmt: skip
"""One float32 scale per output feature (fbgemm_fp8; compressed-tensors strategy `channel`)."""

NVFP4 = WeightScheme(
    name="nvfp4", weight_bits=4, granularity=Granularity.GROUP, scale_bits=8, group=(1, 16),
    has_input_scale=True, has_global_scale=True, activation_bits=4,
)  # fmt: skip
"""FP4 with an FP8 scale per 16 weights and a float32 scale per tensor (NVIDIA ModelOpt)."""

MXFP4 = WeightScheme(
    name="mxfp4", weight_bits=4, granularity=Granularity.GROUP, scale_bits=8, group=(1, 32)
)
"""FP4 with a power-of-two scale per 32 weights (OCP microscaling)."""

INT8_CHANNEL = WeightScheme(
    name="int8-channel", weight_bits=8, granularity=Granularity.CHANNEL, scale_bits=32,
    activation_bits=8,
)  # fmt: skip


def fp8_block(rows: int, cols: int) -> WeightScheme:
    """Return FP8 with one float32 scale per block, as DeepSeek V3 publishes it."""
    return WeightScheme(
        name="fp8-block", weight_bits=8, granularity=Granularity.BLOCK, scale_bits=32,
        group=(rows, cols), activation_bits=8,
    )  # fmt: skip


def integer_groups(bits: int, group_size: int, *, has_zero_points: bool, name: str) -> WeightScheme:
    """Return packed integers with 16-bit scales per group of inputs (AWQ, GPTQ, pack-quantized).

    A group size of -1 or 0 means one group per output feature.
    """
    if group_size <= 0:
        return WeightScheme(
            name=name, weight_bits=bits, granularity=Granularity.CHANNEL, scale_bits=16,
            has_zero_points=has_zero_points,
        )  # fmt: skip
    return WeightScheme(
        name=name, weight_bits=bits, granularity=Granularity.GROUP, scale_bits=16,
        group=(1, group_size), has_zero_points=has_zero_points,
    )  # fmt: skip


def from_group(group: Mapping[str, Any], layout: str) -> WeightScheme:
    """Return the scheme of one compressed-tensors config group; layout is its `format`.

    Source: compressed-tensors, QuantizationArgs.
    """
    weights = group.get("weights") or {}
    inputs = group.get("input_activations") or {}
    bits = int(weights.get("num_bits") or 16)
    size = int(weights.get("group_size") or 0)
    is_float = weights.get("type") == "float"
    static = bool(inputs) and inputs.get("dynamic") is False
    if is_float and bits == 4:
        return MXFP4 if size == 32 or "mxfp4" in layout else NVFP4
    if weights.get("strategy") == "block":
        block = weights.get("block_structure") or [128, 128]
        if isinstance(block, str):
            block = [int(v) for v in block.split("x")]
        return fp8_block(int(block[0]), int(block[1]))
    if not inputs or layout == "pack-quantized":
        return integer_groups(
            bits, size, has_zero_points=weights.get("symmetric") is False, name=f"int{bits}"
        )
    channel = weights.get("strategy") == "channel"
    return WeightScheme(
        name="fp8" if is_float else "int8",
        weight_bits=bits,
        granularity=Granularity.CHANNEL if channel else Granularity.TENSOR,
        scale_bits=32,
        has_input_scale=static,
        activation_bits=int(inputs.get("num_bits") or 8),
    )


def num_scales(scheme: WeightScheme, rows: int, cols: int) -> int:
    """Return how many scales one weight of rows x cols has.

    >>> num_scales(fp8_block(128, 128), 4096, 14336), num_scales(FP8_CHANNEL, 4096, 14336)
    (3584, 4096)
    """
    match scheme.granularity:
        case Granularity.TENSOR:
            return 1
        case Granularity.CHANNEL:
            return rows
        case Granularity.GROUP | Granularity.BLOCK:
            return -(-rows // scheme.group[0]) * -(-cols // scheme.group[1])


def stored_bytes(scheme: WeightScheme, rows: int, cols: int) -> int:
    """Return the bytes of one quantized weight with its scales and zero points.

    >>> stored_bytes(MXFP4, 64, 64) == 64 * 64 // 2 + 64 * 2
    True
    """
    scales = num_scales(scheme, rows, cols)
    bits = rows * cols * scheme.weight_bits + scales * scheme.scale_bits
    if scheme.has_zero_points:
        bits += scales * scheme.weight_bits
    extra = 4 * (int(scheme.has_input_scale) + int(scheme.has_global_scale))
    return -(-bits // 8) + extra
