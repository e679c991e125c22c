"""Measurements kept as dated records, exported in the columns `predict` and `accuracy` read.

One JSON object a line, appended, so that an interrupted write loses at most its own line.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass

from shardwright.bench.run import Run
from shardwright.model.plan import Plan
from shardwright.model.request import Request
from shardwright.planner.point import FIRST_BURST, SERVICE
from shardwright.verify.artefacts import OF_NO_ENGINE

COLUMNS = (
    "id", "date", "model", "dtype", "gpu", "engine", "engine_version", "tp", "pp", "ep",
    "attention_dp", "isl", "osl", "concurrency", "request_rate", "max_num_batched_tokens",
    "max_num_seqs", "kv_cache_dtype", "quantization", "prefix_hit_rate", "window",
    "ttft_ms", "tpot_ms", "ttft_p95_ms", "itl_p95_ms", "output_tokens_s_total", "requests",
    "source",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What was measured: the spec and its plan, and the day, as 2026-11-23."""

    request: Request
    plan: Plan
    engine_version: str
    date: str


def record(run: Run, setting: Setting) -> dict[str, str | int | float | None] | None:
    """Flatten one load into the columns above; milliseconds, means unless named otherwise.

    A row is of one replica, as the planner's are. None for what no row can say: a trace, answers
    that were not streamed, figures that are of the client or of a proxy.
    """
    request, layout, measured = setting.request, setting.plan.layout, run.measured
    engine, copies, load = request.engine, layout.replicas, run.scenario
    if load.trace or measured.ttft is None or measured.itl is None:
        return None
    if any(finding.code in OF_NO_ENGINE for finding in run.verdict.findings):
        return None
    rate = measured.output_tokens_per_s

    def ms(name: str, percentile: float | None = None) -> float | None:
        summary = getattr(measured, name)
        if summary is None:
            return None
        value = summary.mean if percentile is None else summary.at(percentile)
        return None if value is None else round(value * 1e3, 4)

    return {
        "id": f"{request.name}-{setting.date}-{load.concurrency or load.requests_per_s}"
        f"-{load.input_tokens}x{load.output_tokens}",
        "date": setting.date,
        "model": request.model.config_file or request.model.id,
        "dtype": engine.dtype,
        "gpu": request.cluster.gpu,
        "engine": engine.name,
        "engine_version": setting.engine_version,
        "tp": layout.tensor_parallel,
        "pp": layout.pipeline_parallel,
        "ep": layout.expert_parallel,
        "attention_dp": layout.data_parallel,
        "isl": load.input_tokens,
        "osl": load.output_tokens,
        "concurrency": max(1, round(load.concurrency / copies)) if load.concurrency else None,
        "request_rate": load.requests_per_s / copies if load.requests_per_s else None,
        "max_num_batched_tokens": engine.max_num_batched_tokens,
        "max_num_seqs": engine.max_num_seqs,
        "kv_cache_dtype": engine.kv_cache_dtype,
        "quantization": engine.quantization,
        "prefix_hit_rate": load.prefix_tokens / load.input_tokens if load.prefix_tokens else None,
        "window": SERVICE if measured.window else FIRST_BURST,
        "ttft_ms": ms("ttft"),
        "tpot_ms": ms("itl"),
        "ttft_p95_ms": ms("ttft", 95),
        "itl_p95_ms": ms("itl", 95),
        "output_tokens_s_total": None if rate is None else round(rate / copies, 3),
        "requests": measured.num_completed,
        "source": f"{measured.tool} {measured.tool_version or ''}".strip(),
    }


def to_line(row: dict[str, str | int | float | None]) -> str:
    """Write a record as one line of JSON."""
    return json.dumps(row, sort_keys=True) + "\n"


def read_lines(lines: str) -> list[dict[str, str]]:
    """Read records as rows of text; a line cut short by an interruption is left out."""
    rows = []
    for line in lines.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append({k: "" if v is None else str(v) for k, v in row.items()})
    return rows


def rows_to_csv(rows: list[dict[str, str]]) -> str:
    """Write rows as CSV in the columns above."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
