"""What of an endpoint is watched: the engine's own metrics held against the spec's objective."""

from __future__ import annotations

from shardwright.engines import Engine
from shardwright.model.errors import usage_error
from shardwright.model.monitoring import Metrics, Monitoring, Objective
from shardwright.model.request import Request, Slo


def monitoring(request: Request, engine: Engine, version: str) -> Monitoring | None:
    """Say what a Prometheus should watch; None if nothing is asked."""
    asked = request.monitoring
    if not asked.pod_monitor:
        if asked.alerts or asked.labels:
            raise usage_error(
                "monitoring-without-targets",
                "spec.monitoring is set without podMonitor, so nothing would be scraped",
                cause="the alerts are about the metrics that the PodMonitor collects",
                remedy="set spec.monitoring.podMonitor: true",
            )
        return None
    if engine.metrics is None:
        raise usage_error(
            "metrics-not-known",
            f"which metrics {engine.name} {version} exposes, and where, is not known for certain",
            cause="an alert on a metric that does not exist never fires",
            remedy="leave spec.monitoring out, or choose another engine",
        )
    metrics = engine.metrics(version)
    return Monitoring(
        metrics=metrics,
        has_alerts=asked.alerts,
        labels=asked.labels,
        objectives=_objectives(metrics, request.slo),
    )


def _objectives(metrics: Metrics, slo: Slo) -> tuple[Objective, ...]:
    limits = (("TTFT", metrics.ttft_s, slo.ttft_s), ("ITL", metrics.itl_s, slo.itl_s))
    return tuple(
        Objective(name=name, histogram=histogram, limit_s=limit, percentile=slo.percentile)
        for name, histogram, limit in limits
        if histogram is not None and limit is not None
    )
