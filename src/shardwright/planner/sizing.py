"""The sizing guide: for each model and GPU the fewest GPUs that serve it, and what is left.

Every figure is the planner's own prediction; the reason the next smaller layout fails stands beside
each row, because that is where common guides go wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shardwright.engines import find_engine
from shardwright.facts import recovery
from shardwright.facts.gpus import Gpu
from shardwright.model.folding import fold
from shardwright.model.layout import Layout, stages_of
from shardwright.model.origin import Origin
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB, gib
from shardwright.planner.memory import MemoryAnswer, predict
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.shape.quantization import requantized

GUIDE = (
    "meta-llama/Llama-3.1-8B", "meta-llama/Llama-2-13b-hf", "meta-llama/Llama-3.1-70B",
    "openai/gpt-oss-120b", "mistralai/Mistral-Large-Instruct-2411", "meta-llama/Llama-3.1-405B",
    "deepseek-ai/DeepSeek-V3", "moonshotai/Kimi-K2-Instruct",
)  # fmt: skip
"""One model of each common size, and the large mixtures; users name others."""

SCHEMES = ("bf16", "fp8", "nvfp4")
GPUS_PER_NODE = 8
MOST_NODES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One row. layout None: nothing up to 16 nodes serves it. short: why the next smaller fails.

    weight_bytes are of all ranks together. recovery: published accuracy figure, or "unknown"; empty
    for the checkpoint as published.
    """

    model: str
    num_params: int
    scheme: str
    gpu: str
    weight_bytes: int
    layout: Layout | None
    rank_weight_bytes: int
    kv_tokens: int
    max_model_len: int
    short: str
    recovery: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a size must serve: one request of max_model_len tokens, under an engine's defaults."""

    max_model_len: int = 8192
    engine: str = "vllm"
    version: str | None = None
    utilization: float | None = None
    gpus_per_node: int = GPUS_PER_NODE


def guide(
    shapes: Sequence[ModelShape], gpus: Sequence[Gpu], schemes: Sequence[str], service: Service
) -> Iterator[Size]:
    """Yield the table, model by model, GPU by GPU, widest weights first."""
    for shape in shapes:
        for gpu in gpus:
            for scheme in _schemes_of(shape, gpu, schemes):
                held = shape if shape.quantization else requantized(shape, scheme)
                yield size(held, gpu, scheme, service)


def _schemes_of(shape: ModelShape, gpu: Gpu, schemes: Sequence[str]) -> list[str]:
    """Return the schemes worth a row: a quantized checkpoint as it is, others as the GPU allows."""
    if shape.quantization is not None:
        return ["as published"]
    has = {"fp8": gpu.fp8_flops, "nvfp4": gpu.fp4_flops}
    return [s for s in schemes if s not in has or has[s] is not None]


def size(shape: ModelShape, gpu: Gpu, scheme: str, service: Service) -> Size:
    """Find the fewest GPUs that serve a model, and say why fewer do not."""
    length = min(service.max_model_len, shape.max_position_embeddings)
    service = replace(service, max_model_len=length)
    engine = find_engine(service.engine)
    failed: tuple[Layout, MemoryAnswer] | None = None
    base = Size(
        model=shape.id, num_params=shape.num_params, scheme=scheme, gpu=gpu.id, weight_bytes=0,
        layout=None, rank_weight_bytes=0, kv_tokens=0, max_model_len=length, short="",
        recovery=_recovery(shape, scheme), origin=shape.origin,
    )  # fmt: skip
    for layout in _layouts(service.gpus_per_node):
        if layout.pipeline_parallel > shape.num_layers or engine.refuse_layout(shape, layout):
            continue
        answer = predict(_question(shape, gpu, layout, service))
        if answer.fits:
            return replace(
                base,
                layout=layout,
                weight_bytes=sum(r.weights_bytes for r in answer.ranks) * layout.tensor_parallel,
                rank_weight_bytes=max(r.weights_bytes for r in answer.ranks),
                kv_tokens=answer.kv_tokens,
                short=_short(failed, length),
                origin=answer.origin,
            )
        failed = layout, answer
    return replace(base, short=_short(failed, length))


def _layouts(per_node: int) -> list[Layout]:
    """Return layouts by GPUs: tensor parallelism within a node, then whole nodes as stages."""
    inside = [tp for tp in range(1, per_node + 1) if per_node % tp == 0]
    out = [Layout(tensor_parallel=tp) for tp in inside]
    return out + [
        Layout(tensor_parallel=per_node, pipeline_parallel=nodes)
        for nodes in range(2, MOST_NODES + 1)
    ]


def _question(shape: ModelShape, gpu: Gpu, layout: Layout, service: Service) -> MemoryQuestion:
    engine = find_engine(service.engine)
    return MemoryQuestion(
        shape=shape,
        layout=layout,
        stages=stages_of(engine.split_layers(shape.num_layers, layout.pipeline_parallel)),
        gpu=gpu,
        engine=service.engine,
        version=service.version or engine.default_version,
        utilization=service.utilization,
        max_model_len=service.max_model_len,
    )


def _short(failed: tuple[Layout, MemoryAnswer] | None, length: int) -> str:
    if failed is None:
        return ""
    layout, answer = failed
    tight = answer.tightest
    if tight.kv_cache_bytes <= 0:
        return (
            f"{layout}: weights {gib(tight.weights_bytes)} of {gib(tight.budget_bytes)} usable; "
            f"with all else {gib(-tight.kv_cache_bytes)} over"
        )
    return f"{layout}: {gib(answer.shortfall_bytes)} short of one request of {length:,} tokens"


def _recovery(shape: ModelShape, scheme: str) -> str:
    if scheme in {"bf16", "as published"}:
        return ""
    found = recovery.recovery(shape.id, scheme)
    return str(found) if found else UNKNOWN


_HEAD = (
    "model", "weights", "GiB", "GPU", "GPUs", "layout", "GiB/GPU", "KV tokens", "requests",
    "why not fewer", "accuracy",
)  # fmt: skip
UNKNOWN = "unknown"
_RIGHT = frozenset({"GiB", "GPUs", "GiB/GPU", "KV tokens", "requests"})
_NUM_SHORT = 9
"""Columns before those that hold sentences."""


def render(rows: Sequence[Size], width: int | None = None) -> str:
    """Return the guide as text. width: columns of a terminal; where the table is wider, each model
    is a heading and what is said of a row in words stands below it.
    """
    table = [_HEAD, *map(_cells, rows)]
    wide = _aligned(table, _HEAD)
    if width is None or max(map(len, wide)) <= width:
        return "".join(f"{line}\n" for line in wide)
    lines, model = [], ""
    short = _aligned([cells[1:_NUM_SHORT] for cells in table], _HEAD[1:_NUM_SHORT])
    for cells, line in zip(table, short, strict=True):
        if cells is not _HEAD and cells[0] != model:
            model = cells[0]
            lines += ["", model]
        lines.append(f" {line}")
        for name, said in zip(_HEAD[_NUM_SHORT:], cells[_NUM_SHORT:], strict=True):
            if said not in ("", UNKNOWN) and cells is not _HEAD:
                lines += fold(f"    {name}: {said}", width, 2)
    return "".join(f"{line}\n" for line in lines)


def _aligned(table: Sequence[tuple[str, ...]], head: tuple[str, ...]) -> list[str]:
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    return [
        "  ".join(
            cell.rjust(w) if name in _RIGHT else cell.ljust(w)
            for name, cell, w in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in table
    ]


def _cells(row: Size) -> tuple[str, ...]:
    name = row.model.rpartition("/")[2]
    if row.layout is None:
        none = "none up to 16 nodes"
        return (name, row.scheme, "", row.gpu, "", none, "", "", "", row.short, row.recovery)
    return (
        name, row.scheme, f"{row.weight_bytes / GIB:,.0f}", row.gpu, str(row.layout.num_gpus),
        str(row.layout), f"{row.rank_weight_bytes / GIB:.1f}", f"{row.kv_tokens:,}",
        f"{row.kv_tokens / row.max_model_len:,.1f} x {row.max_model_len:,}", row.short,
        row.recovery,
    )  # fmt: skip
