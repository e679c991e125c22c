"""Latency questions as table rows: what `shardwright predict latency` reads and writes.

A row that cannot be predicted gets empty values and a note; the rows after it go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shardwright.facts.gpus import gpu
from shardwright.model.errors import ShardwrightError
from shardwright.model.shape import ModelShape
from shardwright.planner.coefficients import Coefficients, in_use
from shardwright.planner.deployment import Setup, engine_of, setup_of, with_room_for
from shardwright.planner.latency import Latency, run
from shardwright.planner.point import Point, point_of
from shardwright.shape import load

LATENCY_COLUMNS = (
    "id", "ttft_ms", "tpot_ms", "ttft_p95_ms", "itl_p95_ms", "output_tokens_s_gpu",
    "output_tokens_s_total", "saturated", "origin", "note",
)  # fmt: skip


def predict_rows(points: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Predict every row of a table. Rows are mappings with the columns of docs/planner.md; what
    comes back has LATENCY_COLUMNS first, then the row's other columns unchanged. Times in ms.

    >>> rows = [{"id": "a", "model": "meta-llama/Llama-3.1-8B", "gpu": "H100", "engine": "vllm",
    ...          "isl": 1024, "osl": 128, "concurrency": 8}, {"id": "b", "model": "no/such"}]
    >>> [bool(r["ttft_ms"]) for r in predict_rows(rows)]
    [True, False]
    """
    known = _Known(shapes={}, setups={}, answers={})
    for raw in points:
        yield _row(raw, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What earlier rows of the table have settled; it makes them quick and changes no answer."""

    shapes: dict[str, ModelShape]
    setups: dict[Point, Setup]
    answers: dict[Point, Latency]


def _row(raw: Mapping[str, Any], known: _Known) -> dict[str, str]:
    row = {str(k): "" if v is None else str(v) for k, v in raw.items() if k is not None}
    values = dict.fromkeys(LATENCY_COLUMNS, "")
    try:
        point = point_of(row)
        values |= _cells(_predicted(point, known))
    except ShardwrightError as error:
        values["note"] = str(error)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # a config.json nobody has tried: the table must go on, and the note says what to report
        values["note"] = f"cannot-predict: {type(error).__name__}: {error}"
    values["id"] = row.get("id", "")
    extra = {k: v for k, v in row.items() if k not in values}
    return {**values, **extra}


def _predicted(point: Point, known: _Known) -> Latency:
    asked = replace(point, id="")
    found = known.answers.get(asked)
    if found is None:
        found = known.answers[asked] = _replayed(asked, known)
    return found


def _replayed(point: Point, known: _Known) -> Latency:
    k = in_use(gpu(point.gpu).id, engine_of(point.engine))
    shape = known.shapes.get(point.model)
    if shape is None:
        shape = known.shapes[point.model] = load(point.model)
    found = run(point, _setup(point, shape, known, k), k)
    doubts = (found.note, *(each.what for each in shape.findings))
    return replace(found, note="; ".join(each for each in doubts if each))


def _setup(point: Point, shape: ModelShape, known: _Known, k: Coefficients) -> Setup:
    """Return the deployment of a point: step times do not depend on the load, the room for the KV
    cache does by the longest sequence and the engine's limits.
    """
    room = replace(
        point, isl=point.isl + point.osl, osl=0, concurrency=0, isl_mean=None, osl_mean=None,
        request_rate=None, prefix_hit_rate=0.0,
    )  # fmt: skip
    table = replace(room, isl=0, max_num_batched_tokens=None, max_num_seqs=None)
    if room not in known.setups:
        known.setups[room] = (
            with_room_for(point, known.setups[table], shape)
            if table in known.setups
            else setup_of(point, shape, k)
        )
        known.setups.setdefault(table, known.setups[room])
    return known.setups[room]


def _cells(found: Latency) -> dict[str, str]:
    return {
        "ttft_ms": f"{found.ttft_s * 1e3:.3f}",
        "tpot_ms": f"{found.tpot_s * 1e3:.4f}",
        "ttft_p95_ms": f"{found.ttft_tail_s * 1e3:.3f}",
        "itl_p95_ms": f"{found.itl_tail_s * 1e3:.4f}",
        "output_tokens_s_gpu": f"{found.output_tokens_per_s_per_gpu:.2f}",
        "output_tokens_s_total": f"{found.output_tokens_per_s:.2f}",
        "saturated": "true" if found.is_saturated else "false",
        "origin": found.origin.value,
        "note": found.note,
    }
