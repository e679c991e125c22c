"""How many pods manifests ask for, by the rules of each kind of workload. Pure.

Called by status, and by the way back, whose manifests may be of another size than those that
failed.
"""

from __future__ import annotations

from collections.abc import Iterable

from shardwright.model.cluster import Object

SCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})


def num_pods(objects: Iterable[Object]) -> int:
    """Add up the pods of all workloads; of those that something scales, the least there are.

    >>> template = {"size": 4}
    >>> num_pods([{"kind": "LeaderWorkerSet",
    ...            "spec": {"replicas": 2, "leaderWorkerTemplate": template}}])
    8
    """
    return sum(_pods_of(each) for each in objects)


def is_scaled(objects: Iterable[Object]) -> bool:
    """Tell whether something adds pods to those while the load is high."""
    return any(each["kind"] in SCALERS for each in objects)


def _pods_of(obj: Object) -> int:
    spec = obj.get("spec", {})
    replicas = int(spec.get("replicas", 1))
    match obj["kind"]:
        case "Deployment" | "StatefulSet":
            return replicas
        case "LeaderWorkerSet":
            return replicas * int(spec["leaderWorkerTemplate"].get("size", 1))
        case "RayCluster":  # one head, besides
            groups = spec.get("workerGroupSpecs", [])
            return 1 + sum(int(g.get("replicas", 0)) * int(g.get("numOfHosts", 1)) for g in groups)
    return 0
