"""The JSON of `vllm bench serve --save-result`; with --save-detailed it holds every request.

Source: vllm/benchmarks/serve.py of 0.32.0. Times are milliseconds in summaries, seconds in lists.
Its own `itl` is over gaps; its `tpot`, a mean per request, is what others call inter-token latency.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from shardwright.model.measured import Distribution, Measured, Sample

MS = 1e-3


def recognise(document: dict[str, Any]) -> bool:
    """Tell a result of `vllm bench serve` by its flat keys."""
    return "mean_ttft_ms" in document and "completed" in document


def read(document: dict[str, Any], records: str | None) -> Measured:
    """Read the one file; it has no records beside it."""
    del records
    completed = int(document["completed"])
    rate = document.get("request_rate")
    errors = Counter(" ".join(str(e).split())[-200:] for e in document.get("errors") or [] if e)
    failed = document.get("failed")
    return Measured(
        tool="vllm-bench",
        tool_version=None,
        model=document.get("model_id"),
        num_completed=completed,
        num_failed=int(failed if failed is not None else document["num_prompts"] - completed),
        duration_s=float(document["duration"]),
        output_tokens=int(document["total_output_tokens"]),
        concurrency=document.get("max_concurrency"),
        requests_per_s=float(rate) if isinstance(rate, int | float) else None,
        ttft=_distribution(document, "ttft", completed),
        itl=_distribution(document, "tpot", completed),
        latency=_distribution(document, "e2el", completed),
        samples=tuple(_samples(document)),
        errors=tuple(message for message, _ in errors.most_common()),
    )


def _distribution(document: dict[str, Any], metric: str, count: int) -> Distribution | None:
    if document.get(f"mean_{metric}_ms") is None:
        return None
    percentiles = []
    for key, value in document.items():
        if key.startswith("p") and key.endswith(f"_{metric}_ms"):
            percentiles.append((float(key[1:].split("_")[0]), float(value) * MS))
    median = document.get(f"median_{metric}_ms")
    if median is not None:
        percentiles.append((50.0, float(median) * MS))
    return Distribution(
        count=count,
        mean=float(document[f"mean_{metric}_ms"]) * MS,
        percentiles=tuple(sorted(set(percentiles))),
    )


def _samples(document: dict[str, Any]) -> list[Sample]:
    ttfts, itls = document.get("ttfts"), document.get("itls")
    if not ttfts or not itls:
        return []
    size = len(ttfts)
    starts = document.get("start_times") or [0.0] * size
    inputs = document.get("input_lens") or [None] * size
    outputs = document.get("output_lens") or [None] * size
    errors = document.get("errors") or [""] * size
    return [
        Sample(
            start_s=float(starts[i]),
            ttft_s=float(ttfts[i]),
            itl_s=sum(itls[i]) / (outputs[i] - 1) if outputs[i] and outputs[i] > 1 else None,
            latency_s=float(ttfts[i]) + sum(itls[i]),
            input_tokens=inputs[i],
            output_tokens=outputs[i],
        )
        for i in range(size)
        if not errors[i]
    ]
