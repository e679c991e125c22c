"""Whether groups can be added while an endpoint runs, and for what load: else why not."""

from __future__ import annotations

from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.monitoring import Monitoring
from shardwright.model.request import Autoscaling, Mechanism, Request
from shardwright.model.scaling import Scaler, Scaling

_WHY_NOT = {
    Mechanism.STATEFULSET: "the replicas of a StatefulSet are the members of one group",
    Mechanism.RAY_STATEFULSET: "the replicas of a StatefulSet are the members of one group",
    Mechanism.MPI: "the replicas of a StatefulSet are the members of one group",
    Mechanism.KUBERAY: "a RayCluster is one group, and cannot be multiplied by a scaler",
}


def scaling(
    request: Request, mechanism: Mechanism, replicas: int, watched: Monitoring | None
) -> Scaling | None:
    """Say how replicas follow the load; None if they are fixed."""
    asked = request.autoscaling
    if asked.by == "none":
        if asked != Autoscaling():
            raise _impossible(
                "spec.autoscaling is set without `by`, so nothing would scale",
                remedy="set spec.autoscaling.by to keda or hpa",
            )
        return None
    if mechanism in _WHY_NOT:
        raise _impossible(
            f"nothing can add groups to {mechanism.value}",
            cause=_WHY_NOT[mechanism],
            remedy="set spec.launch to deployment (one node) or lws, or leave spec.autoscaling out",
        )
    if asked.max_replicas is None or asked.max_replicas <= replicas:
        raise _impossible(
            f"spec.autoscaling.maxReplicas leaves nothing to scale: the plan has {replicas}",
            remedy=f"set it to {replicas + 1} or more",
        )
    return Scaling(
        scaler=Scaler(asked.by),
        max_replicas=asked.max_replicas,
        requests_per_replica=_per_replica(request, replicas),
        in_flight=_metrics(asked, watched),
        server=asked.prometheus,
    )


def _per_replica(request: Request, replicas: int) -> int:
    """Take the load one replica was planned for, unless the user says another."""
    if request.autoscaling.requests_per_replica is not None:
        return request.autoscaling.requests_per_replica
    if request.workload.concurrency is None:
        raise _impossible(
            "neither spec.autoscaling.requestsPerReplica nor spec.workload.concurrency is set",
            cause="nobody knows at how many requests in flight another replica is due",
            remedy="set one of them",
        )
    return max(1, request.workload.concurrency // replicas)


def _metrics(asked: Autoscaling, watched: Monitoring | None) -> tuple[str, ...]:
    if asked.by == "hpa":
        if asked.metric is None or asked.prometheus is not None:
            raise _impossible(
                "an HPA reads one metric of each pod from the cluster's metrics adapter",
                cause="CPU and memory say nothing about the load of a GPU",
                remedy="set spec.autoscaling.metric, and leave prometheus out",
            )
        return (asked.metric,)
    if asked.prometheus is None or asked.metric is not None:
        raise _impossible(
            "KEDA reads the engine's own metrics from a Prometheus",
            remedy="set spec.autoscaling.prometheus to its address, and leave metric out",
        )
    if watched is None:
        raise _impossible(
            "KEDA would ask for metrics that nothing collects",
            remedy="set spec.monitoring.podMonitor: true",
        )
    names = (watched.metrics.running, watched.metrics.waiting)
    known = tuple(name for name in names if name is not None)
    if len(known) < len(names):
        raise _impossible(
            "this engine does not expose how many requests it answers at the moment",
            cause="by those that wait alone, replicas would go as soon as they keep up",
            remedy="choose another engine, or set spec.autoscaling.by to hpa with your own metric",
        )
    return known


def _impossible(what: str, *, remedy: str, cause: str = "") -> ShardwrightError:
    return usage_error("autoscaling-not-possible", what, cause=cause, remedy=remedy)
