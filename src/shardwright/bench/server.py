"""What the engine itself said during the run, from what AIPerf scraped of its /metrics.

Turned into lines of explanation: a queue, a full KV cache and since when, preemptions, prefix hits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FULL = 0.97
"""Share of KV-cache blocks in use at which the next request waits: no whole prompt fits."""

RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
KV_USAGE, PREEMPTIONS = "vllm:kv_cache_usage_perc", "vllm:num_preemptions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """One look at the engine. at_s: seconds into the measured phase; preemptions: since then."""

    at_s: float
    running: float | None
    waiting: float | None
    kv_usage: float | None
    preemptions: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSide:
    """Engine metrics over the measured phase; None where the engine does not report one.

    scrapes: in order of time. full_from_s: when the KV cache was first full.
    """

    queue_max: float | None
    queue_mean: float | None
    running_max: float | None
    kv_usage_max: float | None
    preemptions: float | None
    prefix_hit_rate: float | None
    scrapes: tuple[Scrape, ...] = ()

    @property
    def full_from_s(self) -> float | None:
        """When the KV cache was first full, or the first request was preempted."""
        return next(
            (s.at_s for s in self.scrapes if (s.kv_usage or 0) >= FULL or s.preemptions), None
        )

    def explain(self) -> tuple[str, ...]:
        """Say what would explain a slow run; nothing if nothing does."""
        out = []
        since = "" if self.full_from_s is None else f" from t={self.full_from_s:.0f} s"
        if self.preemptions:
            out.append(
                f"KV cache full{since}: {self.preemptions:.0f} preemptions, each computes its "
                "prompt again"
            )
        elif self.kv_usage_max is not None and self.kv_usage_max >= FULL:
            out.append(f"KV cache full{since}: {self.kv_usage_max:.0%} in use, new requests wait")
        if self.queue_max and self.queue_max >= 1:
            mean = f", {self.queue_mean:.1f} on average" if self.queue_mean is not None else ""
            out.append(f"requests waited in the engine: up to {self.queue_max:.0f}{mean}")
        if self.prefix_hit_rate is not None and self.prefix_hit_rate > 0.05:
            out.append(f"{self.prefix_hit_rate:.0%} of prompt tokens came from the prefix cache")
        return tuple(out)


def read_server_side(export: str | None, series: str | None) -> ServerSide | None:
    """Read the export and the single scrapes; None if the engine's metrics were not reached."""
    if export is None:
        return None
    return read_server_metrics(export, tuple(_scrapes(series)) if series else ())


def read_server_metrics(text: str, scrapes: tuple[Scrape, ...] = ()) -> ServerSide:
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
        queue_max=stat(WAITING, "max"),
        queue_mean=stat(WAITING, "avg"),
        running_max=stat(RUNNING, "max"),
        kv_usage_max=max(values(KV_USAGE, "max"), default=None),
        preemptions=stat(PREEMPTIONS, "total"),
        prefix_hit_rate=hits / queries if hits is not None and queries else None,
        scrapes=scrapes,
    )


def _scrapes(series: str) -> Iterator[Scrape]:
    """Read the scrapes of the measured phase, one JSON object a line."""
    start_ns: int | None = None
    before: float | None = None
    for line in series.splitlines():
        try:
            record = json.loads(line)
            at_ns, phase = int(record["timestamp_ns"]), record.get("benchmark_phase")
        except (ValueError, KeyError, TypeError):
            continue
        metrics = record.get("metrics") or {}
        count = _sum(metrics, PREEMPTIONS)
        if phase != "profiling":
            before = count if start_ns is None else before
            continue
        start_ns = at_ns if start_ns is None else start_ns
        yield Scrape(
            at_s=(at_ns - start_ns) * 1e-9,
            running=_sum(metrics, RUNNING),
            waiting=_sum(metrics, WAITING),
            kv_usage=_sum(metrics, KV_USAGE, most=True),
            preemptions=None if count is None else count - (before or 0.0),
        )


def _sum(metrics: dict[str, Any], name: str, *, most: bool = False) -> float | None:
    samples = metrics.get(name)
    values = [v for s in samples or [] if (v := _number(s, "value")) is not None]
    if not values:
        return None
    return max(values) if most else sum(values)


def _number(stats: Any, field: str) -> float | None:
    value = stats.get(field) if isinstance(stats, dict) else None
    return float(value) if isinstance(value, int | float) else None
