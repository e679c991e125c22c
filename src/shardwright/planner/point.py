"""One question of speed: a model, where it runs, how it is cut, and the load; from a table row.

Made by `shardwright.planner.batch` from CSV rows and by the search from a request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from shardwright.model.errors import usage_error

FIRST_BURST = "first-burst"
"""The mean over a whole run: all slots submit at once at the start."""
STEADY = "steady"
"""The mean once the burst is over, seen by a client in the server's own process."""
SERVICE = "service"
"""The mean once the burst is over, seen through HTTP: what users of an endpoint see."""


MOST_CONCURRENCY = 16384
"""Requests at once that one replica is asked about; a replay of more would take seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Tokens are counts; concurrency None: as many sequences as fit (maximum load).

    isl and osl: nominal lengths; isl_mean and osl_mean: means where lengths vary, uniformly up to
    the nominal one. prefix_hit_rate: share of prompt tokens found in the prefix cache.
    """

    id: str
    model: str
    dtype: str
    gpu: str
    engine: str
    isl: int
    osl: int
    concurrency: int | None
    engine_version: str | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    expert_parallel: int = 1
    attention_dp: int = 1
    isl_mean: float | None = None
    osl_mean: float | None = None
    request_rate: float | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    kv_cache_dtype: str | None = None
    quantization: str | None = None
    prefix_hit_rate: float = 0.0
    window: str = FIRST_BURST


def point_of(row: Mapping[str, str | None]) -> Point:
    """Read one row; raises ShardwrightError that names the column at fault."""
    rate = _number(row, "request_rate")
    load = _text(row, "concurrency")
    concurrency = None if load == "max" else _count(row, "concurrency", None if rate else 0)
    if concurrency == 0:
        raise usage_error(
            "point-without-load",
            "neither concurrency nor request_rate is given",
            remedy="give one of them; `max` is a concurrency too",
        )
    if (concurrency or 0) > MOST_CONCURRENCY:
        raise usage_error(
            "point-out-of-range",
            f"concurrency is {concurrency:,}",
            remedy=f"give at most {MOST_CONCURRENCY:,} per replica",
        )
    window = _text(row, "window") or FIRST_BURST
    if window not in {FIRST_BURST, STEADY, SERVICE}:
        raise usage_error(
            "unknown-window",
            f"window is {window!r}",
            remedy=f"write {FIRST_BURST}, {STEADY} or {SERVICE}",
        )
    hit = _number(row, "prefix_hit_rate") or 0.0
    if not 0 <= hit <= 1:
        raise usage_error(
            "point-out-of-range",
            f"prefix_hit_rate is {hit:g}",
            remedy="give a share from 0 to 1",
        )
    tensor, groups = _size(row, "tp"), _size(row, "attention_dp")
    if tensor % groups:
        raise usage_error(
            "point-out-of-range",
            f"attention_dp {groups} does not divide tp {tensor}",
            remedy="its groups share the tp ranks evenly",
        )
    return Point(
        id=_text(row, "id") or "",
        model=_needed(row, "model"),
        dtype=_text(row, "dtype") or "auto",
        gpu=_needed(row, "gpu"),
        engine=_needed(row, "engine"),
        isl=_count(row, "isl", 0) or _missing("isl"),
        osl=_count(row, "osl", 0) or _missing("osl"),
        concurrency=concurrency,
        engine_version=_text(row, "engine_version"),
        tensor_parallel=tensor,
        pipeline_parallel=_size(row, "pp"),
        expert_parallel=_size(row, "ep"),
        attention_dp=groups,
        isl_mean=_number(row, "isl_mean"),
        osl_mean=_number(row, "osl_mean"),
        request_rate=rate,
        max_num_batched_tokens=_count(row, "max_num_batched_tokens", None),
        max_num_seqs=_count(row, "max_num_seqs", None),
        kv_cache_dtype=_text(row, "kv_cache_dtype"),
        quantization=_text(row, "quantization"),
        prefix_hit_rate=hit,
        window=window,
    )


def _size(row: Mapping[str, str | None], column: str) -> int:
    value = _count(row, column, 1)
    if not value:
        raise usage_error("point-out-of-range", f"{column} is 0", remedy="give 1 or more")
    return value


def _text(row: Mapping[str, str | None], column: str) -> str | None:
    value = (row.get(column) or "").strip()
    return None if value.lower() in {"", "nan", "none", "null"} else value


def _needed(row: Mapping[str, str | None], column: str) -> str:
    return _text(row, column) or _missing(column)


def _missing(column: str) -> NoReturn:
    raise usage_error("point-incomplete", f"column {column} is empty", remedy=f"fill in {column}")


def _number(row: Mapping[str, str | None], column: str) -> float | None:
    text = _text(row, column)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise usage_error(
            "point-not-a-number",
            f"column {column} is {text!r}",
            remedy="write a number of at least 0",
        )
    return value


def _count(row: Mapping[str, str | None], column: str, default: int | None) -> int | None:
    value = _number(row, column)
    if value is None:
        return default
    if value != round(value) or value > 10**8:
        raise usage_error(
            "point-not-a-number",
            f"column {column} is {value:g}",
            remedy="write a whole number",
        )
    return round(value)
