"""What the engine itself said during the run, from AIPerf's server_metrics_export.json.

Turned into lines of explanation: a queue, a full KV cache, preemptions, prefix hits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSide:
    """Engine metrics over the measured phase; None where the engine does not report one."""

    queue_max: float | None
    queue_mean: float | None
    running_max: float | None
    kv_usage_max: float | None
    preemptions: float | None
    prefix_hit_rate: float | None

    def explain(self) -> tuple[str, ...]:
        """Say what would explain a slow run; nothing if nothing does."""
        out = []
        if self.preemptions:
            out.append(
                f"KV cache full: {self.preemptions:.0f} preemptions, each computes its prompt again"
            )
        elif self.kv_usage_max is not None and self.kv_usage_max > 0.95:
            out.append(f"KV cache reached {self.kv_usage_max:.0%}")
        if self.queue_max and self.queue_max >= 1:
            mean = f", {self.queue_mean:.1f} on average" if self.queue_mean is not None else ""
            out.append(f"requests waited in the engine: up to {self.queue_max:.0f}{mean}")
        if self.prefix_hit_rate is not None and self.prefix_hit_rate > 0.05:
            out.append(f"{self.prefix_hit_rate:.0%} of prompt tokens came from the prefix cache")
        return tuple(out)


def read_server_metrics(text: str) -> ServerSide:
    """Read the export; a metric that is absent is None, whatever the engine or its version."""
    try:
        metrics = json.loads(text).get("metrics")
    except (ValueError, AttributeError):
        metrics = None
    if not isinstance(metrics, dict):
        metrics = {}

    def values(name: str, field: str) -> list[float]:
        series = (metrics.get(name) or {}).get("series") or []
        return [v for s in series if (v := _number(s.get("stats"), field)) is not None]

    def stat(name: str, field: str) -> float | None:
        found = values(name, field)  # one series per engine of a data-parallel group
        return sum(found) if found else None

    hits = stat("vllm:prefix_cache_hits", "total")
    queries = stat("vllm:prefix_cache_queries", "total")
    return ServerSide(
        queue_max=stat("vllm:num_requests_waiting", "max"),
        queue_mean=stat("vllm:num_requests_waiting", "avg"),
        running_max=stat("vllm:num_requests_running", "max"),
        kv_usage_max=max(values("vllm:kv_cache_usage_perc", "max"), default=None),
        preemptions=stat("vllm:num_preemptions", "total"),
        prefix_hit_rate=hits / queries if hits is not None and queries else None,
    )


def _number(stats: Any, field: str) -> float | None:
    value = stats.get(field) if isinstance(stats, dict) else None
    return float(value) if isinstance(value, int | float) else None
