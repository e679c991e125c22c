"""What a Prometheus watches of an endpoint, and what it should raise an alarm about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What an engine exposes. port: by name, of the leader's container.

    Names as Prometheus sees them; a histogram without its `_bucket`. running, waiting: requests
    being answered, and not yet scheduled. kv_usage: share of the KV cache in use, 0 to 1.
    ttft_s, itl_s: histograms, seconds. None: the engine has none such.
    """

    port: str = "http"
    path: str = "/metrics"
    running: str | None = None
    waiting: str | None = None
    kv_usage: str | None = None
    ttft_s: str | None = None
    itl_s: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A latency that must hold at a percentile (50 to 100): a limit on one histogram, seconds."""

    name: str
    histogram: str
    limit_s: float
    percentile: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """Objects of the Prometheus operator. labels: by which a Prometheus selects them."""

    metrics: Metrics
    has_alerts: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    objectives: tuple[Objective, ...] = ()
