"""How many tokens of KV cache one replica can hold: what limits concurrency in the speed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from shardwright.engines import find_engine
from shardwright.model.errors import usage_error
from shardwright.model.layout import Layout, stages_of
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB
from shardwright.planner.memory import predict
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.planner.point import Point
from shardwright.planner.steptime import Setting
from shardwright.shape.quantization import requantized

DOUBT_FRACTION = 0.1
"""A shortfall up to this share of a GPU is within what a memory prediction can be wrong by."""

_BITS = {"fp8": 8, "int8": 8, "fp4": 4, "nvfp4": 4, "mxfp4": 4, "int4": 4, "awq": 4, "gptq": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """tokens: KV-cache tokens of a replica, 0 if not known; note: a doubt to pass on."""

    tokens: int
    note: str = ""


def room_of(point: Point, setting: Setting, shape: ModelShape, dtype: str) -> Room:
    """Return the KV-cache tokens of one replica. Raises ShardwrightError for what cannot fit."""
    gpu, engine = setting.gpu, setting.engine
    stages = point.pipeline_parallel
    layout = _layout(point, shape)
    if stages > shape.num_layers:
        raise usage_error(
            "too-many-stages",
            f"{stages} stages for {shape.num_layers} layers",
            remedy="lower pp",
        )
    answer = predict(
        MemoryQuestion(
            shape=stored_as(shape, dtype),
            layout=layout,
            stages=stages_of(split_of(engine)(shape.num_layers, stages)),
            gpu=gpu,
            engine=engine,
            version=point.engine_version,
            kv_cache_dtype=point.kv_cache_dtype
            or ("fp8" if setting.precision.kv_bits <= 8 else None),
            max_model_len=point.isl + point.osl,
            max_num_batched_tokens=point.max_num_batched_tokens,
            max_num_seqs=point.max_num_seqs,
            dtype="bfloat16",
        )
    )
    if answer.fits:
        return Room(tokens=answer.kv_tokens * point.attention_dp)
    short = answer.shortfall_bytes
    message = f"{layout} on {gpu.id}: {short / GIB:.1f} GiB per GPU short"
    if short > DOUBT_FRACTION * gpu.memory_bytes:
        raise usage_error("does-not-fit", message, remedy="raise tp or pp, or quantize the weights")
    return Room(tokens=0, note=f"may not fit: {message}")


def split_of(runtime: str) -> Callable[[int, int], tuple[int, ...]]:
    """Return how a runtime, as calibrated, cuts layers into stages; vLLM's way for unknown ones.

    >>> split_of("sglang")(126, 4), split_of("vllm")(126, 4)
    ((31, 31, 32, 32), (31, 32, 32, 31))
    """
    name = {"trtllm": "tensorrt-llm", "sglang": "sglang"}.get(runtime, "vllm")
    return find_engine(name).split_layers


def _layout(point: Point, shape: ModelShape) -> Layout:
    """Return how weights and cache are split. Under attention data parallelism of a mixture the
    groups split `tp` among them: each holds attention by tp / groups, and experts by all of tp.
    """
    tp, groups = point.tensor_parallel, point.attention_dp
    if groups == 1 or shape.moe is None:
        return Layout(
            tensor_parallel=tp,
            pipeline_parallel=point.pipeline_parallel,
            expert_parallel=point.expert_parallel,
        )
    return Layout(
        tensor_parallel=tp // groups,
        pipeline_parallel=point.pipeline_parallel,
        data_parallel=groups,
        expert_parallel=tp,
    )


def stored_as(shape: ModelShape, dtype: str) -> ModelShape:
    """Return the shape with its weights stored as asked, whatever the published file holds: a
    vendor's FP4 checkpoint of a model that is published in FP8 has a name of its own.
    """
    bits = _BITS.get(dtype, 16)
    published = shape.quantization
    if published is not None and published.scheme.weight_bits == bits:
        return shape
    if published is not None:
        shape = replace(
            shape,
            quantization=None,
            layers=tuple(
                replace(layer, tensors=tuple(replace(t, scheme=None) for t in layer.tensors))
                for layer in shape.layers
            ),
        )
    return requantized(shape, dtype) if dtype in _BITS else shape
