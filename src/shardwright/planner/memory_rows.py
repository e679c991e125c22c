"""Memory questions as table rows: what `shardwright predict memory` reads and writes.

A row that cannot be predicted keeps its columns, gets empty figures and a note; the rest go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from shardwright.facts.aliases import canonical
from shardwright.facts.gpus import Gpu, gpu
from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.layout import Layout, stages_of
from shardwright.model.origin import Origin
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB
from shardwright.planner.capacity import split_of
from shardwright.planner.memory import MemoryAnswer, predict
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.shape import load
from shardwright.shape.quantization import requantized

COLUMNS = (
    "weights_gib", "kv_gib", "kv_tokens", "activation_gib", "non_torch_gib", "cuda_graph_gib",
    "origin", "note",
)  # fmt: skip
"""What a prediction adds. GiB are per GPU, of the first stage; tokens are the whole engine's."""

_WIDTHS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_MOST = 1e8
"""No field of a row is sensibly larger, be it tokens, ranks or GiB."""
_NO_DTYPE = frozenset({"", "auto", "unstated", "none"})


def predict_rows(rows: Iterable[Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """Return each row with its prediction, in order; columns that are not ours are copied."""
    shapes: dict[str, ModelShape] = {}
    for row in rows:
        out = {**row, **dict.fromkeys(COLUMNS, "")}
        try:
            question = question_of(row, shapes)
            out.update(_figures(question, predict(question)))
        except ShardwrightError as error:
            out["note"] = f"{error.code}: {error.what}"
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # a config.json nobody has tried: the table must go on, the note says what to report
            out["note"] = f"cannot-predict: {type(error).__name__}: {error}"
        yield out


def question_of(
    row: Mapping[str, str], shapes: dict[str, ModelShape] | None = None
) -> MemoryQuestion:
    """Read one row; raises ShardwrightError that says what is wrong. shapes: models read so far."""
    shapes = {} if shapes is None else shapes
    name = _text(row, "model") or _missing("model")
    if name not in shapes:
        shapes[name] = load(name)
    asked_dtype = _text(row, "dtype").lower()
    dtype = canonical("dtype", asked_dtype) or asked_dtype
    shape = _quantized(shapes[name], _text(row, "quantization"), dtype)
    tp, pp = _count(row, "tp", 1), _count(row, "pp", 1)
    ep = _count(row, "ep", 1)
    engine = canonical("engine", _text(row, "engine") or "vllm") or _text(row, "engine")
    if pp > shape.num_layers:
        raise usage_error(
            "too-many-stages", f"{pp} stages for {shape.num_layers} layers",
            remedy="lower pp",
        )  # fmt: skip
    return MemoryQuestion(
        shape=shape,
        layout=Layout(tensor_parallel=tp, pipeline_parallel=pp, expert_parallel=ep),
        stages=stages_of(split_of(engine)(shape.num_layers, pp)),
        gpu=_gpu(row),
        engine=engine,
        version=_text(row, "engine_version") or _text(row, f"{engine}_version") or None,
        utilization=_share(row, "gpu_memory_utilization"),
        max_model_len=_count(row, "max_model_len", 0) or None,
        kv_cache_dtype=_text(row, "kv_cache_dtype") or shape_kv_dtype(shape),
        dtype=_WIDTHS.get(dtype),
        max_num_batched_tokens=_count(row, "max_num_batched_tokens", 0) or None,
        max_num_seqs=_count(row, "max_num_seqs", 0) or None,
    )


def shape_kv_dtype(shape: ModelShape) -> str | None:
    """Return the KV cache dtype a checkpoint asks for, None if it asks for none."""
    return shape.quantization.kv_cache_dtype if shape.quantization else None


def _quantized(shape: ModelShape, asked: str, dtype: str) -> ModelShape:
    """Return the shape as served: quantized at load where the row says so and the file does not."""
    name = asked.lower()
    if name in _NO_DTYPE:
        name = "none" if dtype in _NO_DTYPE or dtype in _WIDTHS else dtype
    known = {"compressed-tensors": "fp8", "modelopt": "fp8", "modelopt_fp4": "nvfp4"}
    return requantized(shape, known.get(name, name))


def _gpu(row: Mapping[str, str]) -> Gpu:
    found = gpu(_text(row, "gpu") or _missing("gpu"))
    total = _number(row, "gpu_total_gib")
    if total is None:
        return found
    return replace(found, memory_bytes=round(total * GIB), memory_origin=Origin.MEASURED)


def _figures(question: MemoryQuestion, answer: MemoryAnswer) -> dict[str, str]:
    first = answer.ranks[0]
    notes = [f.what for f in question.shape.findings]
    if question.shape.is_multimodal:
        notes.append("the vision encoder's own activation is not counted")
    if not answer.fits:
        notes.append(f"does not fit: {answer.shortfall_bytes / GIB:.2f} GiB short")
    return {
        "weights_gib": f"{first.weights_bytes / GIB:.3f}",
        "kv_gib": f"{max(first.kv_cache_bytes, 0) / GIB:.3f}",
        "kv_tokens": str(max(answer.kv_tokens, 0)),
        "activation_gib": f"{first.activation_bytes / GIB:.3f}",
        "non_torch_gib": f"{first.runtime_bytes / GIB:.3f}",
        "cuda_graph_gib": f"{first.graphs_bytes / GIB:.3f}",
        "origin": answer.origin.value,
        "note": "; ".join(notes),
    }


def _text(row: Mapping[str, str], column: str) -> str:
    return (row.get(column) or "").strip()


def _number(row: Mapping[str, str], column: str) -> float | None:
    text = _text(row, column)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= _MOST:
        raise usage_error("row-field", f"{column} is {text[:40]!r}, not a number above 0")
    return value


def _share(row: Mapping[str, str], column: str) -> float | None:
    value = _number(row, column)
    if value is not None and value > 1:
        raise usage_error("row-field", f"{column} is {value:g}, not a share up to 1")
    return value


def _count(row: Mapping[str, str], column: str, default: int) -> int:
    value = _number(row, column)
    if value is None:
        return default
    if value != int(value):
        raise usage_error("row-field", f"{column} is {value:g}, not a whole number")
    return int(value)


def _missing(column: str) -> str:
    raise usage_error("row-field", f"{column} is empty")
