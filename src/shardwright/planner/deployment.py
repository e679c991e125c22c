"""A deployment made ready for prediction: what many points of one engine, GPU and layout share, so
that a table or a search builds step times once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from shardwright.facts.aliases import canonical, nearest
from shardwright.facts.gpus import Gpu, gpu
from shardwright.model.errors import usage_error
from shardwright.model.origin import Origin, weakest
from shardwright.model.request import Fabric
from shardwright.model.shape import ModelShape
from shardwright.planner.capacity import Room, room_of
from shardwright.planner.coefficients import Coefficients
from shardwright.planner.links import DEFAULT_FABRIC, Link, links_of
from shardwright.planner.ops import ops_of
from shardwright.planner.point import Point
from shardwright.planner.precision import precision_of
from shardwright.planner.scheduling import era_of
from shardwright.planner.steptime import (
    Setting,
    StepTable,
    architecture_of,
    over_stages,
    step_table,
)
from shardwright.shape import load

CALIBRATED = frozenset({"hopper", "blackwell"})
"""Architectures with rows in the calibration; figures for others are assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A deployment made ready for prediction. capacity: KV-cache tokens of one replica.

    has_copies: data-parallel ranks share nothing, for there are no experts to share.
    """

    table: StepTable
    engine: str
    era: str
    gpu: Gpu
    capacity: int
    tensor_link: Link
    origin: Origin
    note: str = ""
    has_copies: bool = False


def setting_of(
    point: Point,
    shape: ModelShape,
    *,
    fabric: Fabric = DEFAULT_FABRIC,
    gpus_per_node: int | None = None,
) -> Setting:
    """Return what the step times of a point's deployment depend on."""
    engine = engine_of(point.engine)
    device = gpu(point.gpu)
    dtype = dtype_of(point, shape)
    tensor_link, stage_link = links_of(
        device,
        point.tensor_parallel,
        point.pipeline_parallel,
        gpus_per_node=gpus_per_node,
        fabric=fabric,
    )
    return Setting(
        ops=ops_of(shape),
        precision=precision_of(
            dtype,
            device,
            is_moe=shape.moe is not None,
            is_mxfp4=shape.quantization is not None and shape.quantization.method == "mxfp4",
            kv=point.kv_cache_dtype,
        ),
        gpu=device,
        engine=engine,
        era=era_of(engine, point.engine_version, point.window),
        scales=scales_of(shape, dtype),
        tensor_parallel=point.tensor_parallel,
        pipeline_parallel=point.pipeline_parallel,
        expert_parallel=point.expert_parallel,
        attention_dp=point.attention_dp,
        tensor_link=tensor_link,
        stage_link=stage_link,
    )


def setup_of(point: Point, shape: ModelShape, k: Coefficients) -> Setup:
    """Tabulate step times and KV capacity of the deployment a point names."""
    setting = setting_of(point, shape)
    room = room_of(point, setting, shape, dtype_of(point, shape))
    return prepared(setting, shape, k, room)


def prepared(
    setting: Setting,
    shape: ModelShape,
    k: Coefficients,
    room: Room,
    flat: StepTable | None = None,
) -> Setup:
    """Tabulate step times of a setting whose KV cache is known; flat: its table without stages."""
    return Setup(
        table=over_stages(flat, setting) if flat else step_table(setting, k),
        engine=setting.engine,
        era=setting.era,
        gpu=setting.gpu,
        capacity=room.tokens,
        tensor_link=setting.tensor_link,
        note=room.note,
        origin=_origin(setting.gpu, shape, room),
    )


def with_room_for(point: Point, setup: Setup, shape: ModelShape) -> Setup:
    """Return the same step times with the KV cache that a point's lengths and limits leave."""
    room = room_of(point, setting_of(point, shape), shape, dtype_of(point, shape))
    return replace(
        setup, capacity=room.tokens, note=room.note, origin=_origin(setup.gpu, shape, room)
    )


def _origin(device: Gpu, shape: ModelShape, room: Room) -> Origin:
    is_sure = not room.note and architecture_of(device) in CALIBRATED
    return weakest(shape.origin, Origin.MODELLED if is_sure else Origin.ASSUMED)


@lru_cache(maxsize=64)
def shape_of(model: str) -> ModelShape:
    """Return the shape of a model id or of a path to its config.json."""
    return load(model)


def engine_of(name: str) -> str:
    """Return the engine's one name; a version written after it is no part of it.

    >>> engine_of("TensorRT-LLM 1.0 pytorch")
    'trtllm'
    """
    found = canonical("engine", name) or canonical("engine", name.split()[0])
    if found in {"vllm", "sglang", "trtllm"}:
        return str(found)
    raise usage_error(
        "unknown-engine",
        f"{name!r} is not an engine we have calibrated",
        remedy="use one of " + ", ".join(nearest(name, ("vllm", "sglang", "trtllm")) or ("vllm",)),
    )


def dtype_of(point: Point, shape: ModelShape) -> str:
    """Return the canonical dtype: what the point says, else how the checkpoint is stored."""
    name = (point.quantization or point.dtype or "auto").lower()
    if name in {"auto", "unstated"}:
        bits = shape.quantization.scheme.weight_bits if shape.quantization else 16
        return {4: "fp4" if shape.quantization and "4" in shape.quantization.method else "int4",
                8: "fp8"}.get(bits, "bf16")  # fmt: skip
    return canonical("dtype", name) or name


def scales_of(shape: ModelShape, dtype: str) -> str:
    """Return whether FP8 weights are scaled by blocks or by tensors, which kernels depend on.

    A checkpoint that says so is believed. Of the rest, Meta's families are published with scales
    per tensor or channel, later ones in blocks of 128 x 128 (DeepSeek's form).
    """
    if dtype != "fp8":
        return "tensor"
    if shape.quantization is not None and shape.quantization.method == "fp8":
        return "block" if shape.quantization.scheme.group != (1, 1) else "tensor"
    tensor = shape.model_type.startswith(("llama", "mistral", "mixtral", "gemma", "qwen2"))
    return "tensor" if tensor else "block"
