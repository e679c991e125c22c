"""guidellm's benchmarks.json: one run, or the last of several. Source: guidellm 0.8.1's schemas."""

from __future__ import annotations

from typing import Any

from shardwright.model.finding import Finding, Severity
from shardwright.model.measured import Distribution, Measured

_NAMES = {"p05": 5.0, "p10": 10.0, "p25": 25.0, "p50": 50.0, "p75": 75.0, "p90": 90.0,
          "p95": 95.0, "p99": 99.0, "p999": 99.9}  # fmt: skip


def recognise(document: dict[str, Any]) -> bool:
    """Tell a guidellm report by its list of benchmarks."""
    runs = document.get("benchmarks")
    return isinstance(runs, list) and bool(runs) and "metrics" in runs[-1]


def read(document: dict[str, Any], records: str | None) -> Measured:
    """Read the last benchmark of the report."""
    del records
    runs = document["benchmarks"]
    run = runs[-1]
    metrics = run["metrics"]
    totals = (
        metrics.get("request_totals")
        or run.get("request_totals")
        or run["run_stats"]["requests_made"]
    )
    duration = float(run.get("duration") or run["end_time"] - run["start_time"])
    outputs = metrics.get("output_token_count", {}).get("successful") or {}
    several = Finding(
        code="several-benchmarks",
        severity=Severity.NOTE,
        what=f"the report holds {len(runs)} benchmarks; the last one is judged",
    )
    return Measured(
        tool="guidellm",
        tool_version=(document.get("metadata") or {}).get("guidellm_version"),
        model=None,
        num_completed=int(totals["successful"]),
        num_failed=int(totals["errored"]),
        duration_s=duration,
        output_tokens=round(outputs["total_sum"]) if outputs.get("total_sum") else None,
        ttft=_distribution(metrics.get("time_to_first_token_ms"), 1e-3),
        itl=_distribution(metrics.get("inter_token_latency_ms"), 1e-3),
        latency=_distribution(metrics.get("request_latency"), 1.0),
        effective_concurrency=_mean(metrics.get("request_concurrency")),
        findings=(several,) if len(runs) > 1 else (),
    )


def _distribution(block: dict[str, Any] | None, scale: float) -> Distribution | None:
    done = (block or {}).get("successful")
    if not done or not done.get("count"):
        return None
    ranks = {_NAMES[n]: float(v) for n, v in done["percentiles"].items() if n in _NAMES}
    if done.get("median") is not None:  # which some versions keep out of the percentiles
        ranks[50.0] = float(done["median"])
    return Distribution(
        count=int(done["count"]),
        mean=float(done["mean"]) * scale,
        percentiles=tuple((rank, value * scale) for rank, value in sorted(ranks.items())),
    )


def _mean(block: dict[str, Any] | None) -> float | None:
    done = (block or {}).get("successful")
    return float(done["mean"]) if done else None
