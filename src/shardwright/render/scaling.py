"""The object that counts groups: a HorizontalPodAutoscaler, or KEDA's ScaledObject.

Sources: kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale, keda.sh/docs (its
trigger `prometheus`). Both count by the scale subresource, which of a LeaderWorkerSet are groups.
"""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan
from shardwright.model.scaling import Scaler, Scaling
from shardwright.render.emit import Because, Object
from shardwright.render.labels import metadata
from shardwright.render.monitoring import series_of
from shardwright.render.names import object_name

_LONGEST_S = 3600
"""Kubernetes allows no longer stabilization window."""

_COUNTED = ("Deployment", "LeaderWorkerSet")
"""Kinds whose scale subresource counts whole groups."""


def replicas_field(plan: LaunchPlan) -> Object:
    """Write `replicas`, unless something else counts them: an apply would set them back."""
    return {} if plan.scaling else {"replicas": plan.replicas}


def scaler(plan: LaunchPlan, workloads: list[Object]) -> Object | None:
    """Write what scales the one workload whose replicas are groups; None if they are fixed."""
    asked = plan.scaling
    if asked is None:
        return None
    (workload,) = (each for each in workloads if each["kind"] in _COUNTED)
    target = {
        "apiVersion": workload["apiVersion"],
        "kind": workload["kind"],
        "name": workload["metadata"]["name"],
    }
    return _keda(plan, asked, target) if asked.scaler is Scaler.KEDA else _hpa(plan, asked, target)


def _behavior(plan: LaunchPlan) -> Object:
    window = min(_LONGEST_S, plan.budgets.startup_s)
    return {
        "scaleDown": {
            "stabilizationWindowSeconds": Because(
                window, "what goes takes this long to come back; 300 by default"
            )
        }
    }


def _hpa(plan: LaunchPlan, asked: Scaling, target: Object) -> Object:
    wanted = {"type": "AverageValue", "averageValue": str(asked.requests_per_replica)}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(plan, object_name("HorizontalPodAutoscaler", plan.name)),
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": plan.replicas,
            "maxReplicas": asked.max_replicas,
            "metrics": [
                {"type": "Pods", "pods": {"metric": {"name": name}, "target": wanted}}
                for name in asked.in_flight
            ],
            "behavior": _behavior(plan),
        },
    }


def _keda(plan: LaunchPlan, asked: Scaling, target: Object) -> Object:
    series = series_of(plan)
    query = " + ".join(f"sum({name}{series})" for name in asked.in_flight)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(plan, object_name("ScaledObject", plan.name)),
        "spec": {
            "scaleTargetRef": target,
            "minReplicaCount": plan.replicas,
            "maxReplicaCount": asked.max_replicas,
            "triggers": [
                {
                    "type": "prometheus",
                    "metricType": "AverageValue",
                    "metadata": {
                        "serverAddress": asked.server,
                        "query": Because(
                            query, "those that wait alone are none as soon as replicas keep up"
                        ),
                        "threshold": str(asked.requests_per_replica),
                        "ignoreNullValues": Because("false", "no answer is not a load of none"),
                    },
                }
            ],
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(plan)}},
        },
    }
