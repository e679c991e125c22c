"""The lines of `sglang.bench_serving --output-file`; with --output-details they hold every request.

Written from a result of 0.5.5 (2026-11-27), in whose file each run is a line. Its `itl` is over
gaps; its `tpot`, a mean per request, is what others call inter-token latency. Times are
milliseconds in summaries, seconds in lists; the list of requests has no instants.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from shardwright.model.finding import Finding, Severity
from shardwright.model.measured import Distribution, Measured, Sample
from shardwright.verify.steady import of_samples

MS = 1e-3
_PERCENTILES = ((50.0, "median"), (90.0, "p90"), (95.0, "p95"), (99.0, "p99"))


def recognise(document: dict[str, Any]) -> bool:
    """Tell it from `vllm bench serve`, whose keys are much the same, by its end-to-end latency."""
    return "mean_ttft_ms" in document and "mean_e2e_latency_ms" in document


def read(document: dict[str, Any], records: str | None) -> Measured:
    """Read one run."""
    del records
    completed = int(document["completed"])
    told = [" ".join(str(e).split())[-200:] for e in document.get("errors") or [] if e]
    rate, places = document.get("request_rate"), document.get("max_concurrency")
    is_rate = places is None and isinstance(rate, int | float) and rate != float("inf")
    # unstreamed answers are given the time of the whole as that of the first token
    is_streamed = document["mean_ttft_ms"] != document["mean_e2e_latency_ms"]
    samples = tuple(_samples(document)) if is_streamed else ()
    found = Measured(
        tool="sglang-bench",
        tool_version=None,
        model=None,
        num_completed=completed,
        num_failed=len(told),
        duration_s=float(document["duration"]),
        output_tokens=int(document["total_output_tokens"]),
        concurrency=places,
        requests_per_s=float(rate) if is_rate and rate is not None else None,
        ttft=_distribution(document, "ttft", completed) if is_streamed else None,
        itl=_distribution(document, "tpot", completed) if is_streamed else None,
        latency=_distribution(document, "e2e_latency", completed),
        effective_concurrency=document.get("concurrency"),
        errors=tuple(message for message, _ in Counter(told).most_common()),
        findings=() if "errors" in document else (_UNKNOWN_FAILURES,),
    )
    return of_samples(found, samples, 95.0) if samples else found


_UNKNOWN_FAILURES = Finding(
    code="failures-not-told",
    severity=Severity.WARNING,
    what="the result does not say how many requests failed",
    remedy="run sglang.bench_serving with --output-details",
)


def _distribution(document: dict[str, Any], metric: str, count: int) -> Distribution | None:
    if not document.get(f"mean_{metric}_ms"):
        return None
    return Distribution(
        count=count,
        mean=float(document[f"mean_{metric}_ms"]) * MS,
        percentiles=tuple(
            (rank, float(document[key]) * MS)
            for rank, name in _PERCENTILES
            if (key := f"{name}_{metric}_ms") in document
        ),
    )


def _samples(document: dict[str, Any]) -> list[Sample]:
    ttfts, gaps = document.get("ttfts") or [], document.get("itls") or []
    errors = document.get("errors") or [""] * len(ttfts)
    inputs, outputs = document.get("input_lens") or [], document.get("output_lens") or []
    out = []
    for i, (first, rest) in enumerate(zip(ttfts, gaps, strict=True)):
        if errors[i]:
            continue
        is_longer = outputs[i] and outputs[i] > 1
        out.append(
            Sample(
                start_s=0.0,
                ttft_s=float(first),
                itl_s=sum(rest) / (outputs[i] - 1) if is_longer else None,
                latency_s=float(first) + sum(rest),
                input_tokens=inputs[i],
                output_tokens=outputs[i],
            )
        )
    return out
