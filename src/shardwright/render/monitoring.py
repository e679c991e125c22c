"""Objects of the Prometheus operator: what is scraped, and what raises an alarm.

Source of the fields: prometheus-operator.dev/docs/api-reference/api. Series of a PodMonitor carry
the job `NAMESPACE/NAME` of that PodMonitor.
"""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan, Role
from shardwright.model.monitoring import Monitoring, Objective
from shardwright.render.emit import Because, Object
from shardwright.render.labels import metadata, selector
from shardwright.render.names import object_name

API_VERSION = "monitoring.coreos.com/v1"
_FULL = 0.95
"""Share of the KV cache above which requests are about to be preempted; our own choice."""


def monitoring_objects(plan: LaunchPlan) -> list[Object]:
    """Write the PodMonitor and the PrometheusRule, where asked for."""
    asked = plan.monitoring
    if asked is None:
        return []
    return [_pod_monitor(plan, asked), *([_rule(plan, asked)] if asked.has_alerts else [])]


def series_of(plan: LaunchPlan) -> str:
    """Select the series of this endpoint alone, as PromQL does."""
    return f'{{job="{plan.namespace}/{object_name("PodMonitor", plan.name)}"}}'


def _metadata(plan: LaunchPlan, asked: Monitoring, kind: str) -> Object:
    out = metadata(plan, object_name(kind, plan.name), "monitoring")
    return {**out, "labels": {**out["labels"], **dict(asked.labels)}}


def _pod_monitor(plan: LaunchPlan, asked: Monitoring) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "PodMonitor",
        "metadata": _metadata(plan, asked, "PodMonitor"),
        "spec": {
            "selector": {
                "matchLabels": Because(
                    selector(plan, Role.LEADER), "only leaders serve HTTP, metrics included"
                )
            },
            "podMetricsEndpoints": [{"port": asked.metrics.port, "path": asked.metrics.path}],
        },
    }


def _rule(plan: LaunchPlan, asked: Monitoring) -> Object:
    series = series_of(plan)
    return {
        "apiVersion": API_VERSION,
        "kind": "PrometheusRule",
        "metadata": _metadata(plan, asked, "PrometheusRule"),
        "spec": {"groups": [{"name": plan.name, "rules": _alerts(plan, asked, series)}]},
    }


def _alerts(plan: LaunchPlan, asked: Monitoring, series: str) -> list[Object]:
    metrics = asked.metrics
    alerts = [
        _alert(
            "InferenceNotServing",
            f"absent(up{series} == 1)",
            "5m",
            f"no pod of {plan.name} has answered for 5 minutes",
            "critical",
        ),
        _alert(
            "InferencePodDown",
            f"up{series} == 0",
            Because(f"{plan.budgets.startup_s}s", "a pod that starts answers within its budget"),
            "{{ $labels.pod }} has not answered for longer than a start takes",
        ),
    ]
    if metrics.waiting:
        waiting = f"{metrics.waiting}{series}[15m]"
        alerts.append(
            _alert(
                "InferenceQueueGrows",
                f"min_over_time({waiting}) > 0 and deriv({waiting}) > 0",
                "5m",
                "requests wait at {{ $labels.pod }} without a pause, and their number grows",
            )
        )
    if metrics.kv_usage:
        alerts.append(
            _alert(
                "InferenceKvCacheFull",
                f"avg_over_time({metrics.kv_usage}{series}[10m]) > {_FULL}",
                "5m",
                "the KV cache of {{ $labels.pod }} is full: requests wait or are preempted",
            )
        )
    return [*alerts, *(_missed(each, series) for each in asked.objectives)]


def _missed(objective: Objective, series: str) -> Object:
    rate = f"sum by (le) (rate({objective.histogram}_bucket{series}[10m]))"
    share, limit = f"{objective.percentile / 100:g}", f"{objective.limit_s:g}"
    return _alert(
        f"Inference{objective.name.title()}OverObjective",
        f"histogram_quantile({share}, {rate}) > {limit}",
        "10m",
        f"p{objective.percentile:g} {objective.name} has been over {limit} s for 10 minutes",
    )


def _alert(
    name: str, expr: str, lasting: str | Because, summary: str, severity: str = "warning"
) -> Object:
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary},
    }
