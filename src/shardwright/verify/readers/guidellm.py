"""guidellm's benchmarks.json: one run, or the last of several.

Written from results of 0.3.1 and 0.8.1 (2026-11-27). Its own percentiles of the time between tokens
count a request once per token; where it kept every request, ours count each once, as AIPerf's do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from shardwright.model.finding import Finding, Severity
from shardwright.model.measured import Distribution, Measured, Sample
from shardwright.verify.steady import of_samples, quantile

MS = 1e-3
SHOWN = 200  # characters of an answer that failed
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
    metrics, requests = run["metrics"], run.get("requests") or {}
    totals = (
        metrics.get("request_totals")
        or run.get("request_totals")
        or run["run_stats"]["requests_made"]
    )
    completed = int(totals["successful"])
    kept = tuple(_sample(each) for each in requests.get("successful") or ())
    outputs = metrics.get("output_token_count", {}).get("successful") or {}
    streams, rate = _load(_strategy(run))
    found = Measured(
        tool="guidellm",
        tool_version=(document.get("metadata") or {}).get("guidellm_version"),
        model=_model(run),
        num_completed=completed,
        num_failed=int(totals["errored"]),
        duration_s=float(run.get("duration") or run["end_time"] - run["start_time"]),
        output_tokens=round(outputs["total_sum"]) if outputs.get("total_sum") else None,
        concurrency=streams,
        requests_per_s=rate,
        ttft=_distribution(metrics.get("time_to_first_token_ms"), MS),
        itl=_distribution(metrics.get("inter_token_latency_ms"), MS),
        latency=_distribution(metrics.get("request_latency"), 1.0),
        effective_concurrency=_mean(metrics.get("request_concurrency")),
        send_delay_s=_send_delay(requests.get("successful") or ()),
        errors=_errors(requests.get("errored") or ()),
        findings=_several(len(runs)),
    )
    # it can keep a sample of the requests only
    return of_samples(found, kept, 95.0) if kept and len(kept) == completed else found


def _several(num_runs: int) -> tuple[Finding, ...]:
    if num_runs == 1:
        return ()
    return (
        Finding(
            code="several-benchmarks",
            severity=Severity.NOTE,
            what=f"the report holds {num_runs} benchmarks; the last one is judged",
        ),
    )


def _model(run: dict[str, Any]) -> str | None:
    backend = (run.get("config") or {}).get("backend") or {}
    found = backend.get("model") or (run.get("worker") or {}).get("backend_model")
    return str(found) if found else None


def _strategy(run: dict[str, Any]) -> dict[str, Any]:
    """How requests were sent, wherever this version says it."""
    for place in ("config", "scheduler", "args"):
        found = (run.get(place) or {}).get("strategy")
        if isinstance(found, dict):
            return found
    return {}


def _load(strategy: dict[str, Any]) -> tuple[int | None, float | None]:
    """Requests at once, or a second; neither where it sends as many as it can."""
    kind = strategy.get("type_")
    if kind == "synchronous":
        return 1, None
    if kind == "concurrent":
        return int(strategy["streams"]), None
    rate = strategy.get("rate")
    return None, float(rate) if kind in ("constant", "poisson") and rate else None


def _sample(request: dict[str, Any]) -> Sample:
    gap, first = request.get("inter_token_latency_ms"), request.get("time_to_first_token_ms")
    began = "request_start_time" if "request_start_time" in request else "start_time"
    return Sample(
        start_s=float(request[began]),
        ttft_s=None if first is None else float(first) * MS,
        itl_s=None if gap is None else float(gap) * MS,
        latency_s=float(request["request_latency"]),
        input_tokens=request.get("prompt_tokens"),
        output_tokens=request.get("output_tokens"),
    )


def _send_delay(requests: Sequence[dict[str, Any]]) -> float | None:
    """The p95 of how late requests left, which only newer versions tell."""
    delays = sorted(
        float(d) for each in requests if (d := each.get("request_dispatch_delay")) is not None
    )
    return quantile(delays, 95.0) if delays else None


def _errors(requests: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    told = (
        (each.get("info") or each.get("scheduler_info") or {}).get("error") for each in requests
    )
    said = Counter(" ".join(str(error).split()) for error in told if error)
    return tuple(message[:SHOWN] for message, _ in said.most_common())


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
