"""Which pods a deployment brings to their end, and so must not be counted among the new. Pure.

Called by the rollout before it touches anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from shardwright.deploy.changes import WORKLOADS, ObjectChange, Verb
from shardwright.model.cluster import Object

_LWS_NAME = "leaderworkerset.sigs.k8s.io/name"
_RAY_CLUSTER = "ray.io/cluster"


def outgoing(changes: Iterable[ObjectChange], pods: Iterable[Object]) -> frozenset[str]:
    """Return the uids of pods whose own workload gets another template or is made anew.

    A controller replaces the pods of its own template alone: where a leader's changes and the
    workers' does not, the workers stay. Pods that are there before their workload is created are
    those of one that was deleted, which the cluster has not ended yet.
    """
    changes = tuple(changes)
    ending = {(c.ref.kind, c.ref.name) for c in changes if _ends_pods(c)}
    if any(each.restarts for each in changes):
        ending.add(("", ""))  # pods of which nothing tells whose they are
    return frozenset(str(pod["metadata"].get("uid")) for pod in pods if workload_of(pod) in ending)


def _ends_pods(change: ObjectChange) -> bool:
    is_new = change.verb is Verb.CREATE and change.ref.kind in WORKLOADS
    return is_new or change.restarts


def workload_of(pod: Object) -> tuple[str, str]:
    """Name the workload of ours that a pod belongs to, by kind and name; empty: nothing tells.

    >>> owner = {"kind": "ReplicaSet", "name": "llama-5d4f7c9b8", "controller": True}
    >>> workload_of({"metadata": {"name": "llama-5d4f7c9b8-x2x4z", "ownerReferences": [owner]}})
    ('Deployment', 'llama')
    """
    labels = pod["metadata"].get("labels", {})
    if _LWS_NAME in labels:  # its worker pods belong to StatefulSets of its own
        return "LeaderWorkerSet", str(labels[_LWS_NAME])
    if _RAY_CLUSTER in labels:
        return "RayCluster", str(labels[_RAY_CLUSTER])
    for owner in pod["metadata"].get("ownerReferences", []):
        if owner.get("kind") == "StatefulSet":
            return "StatefulSet", str(owner["name"])
        if owner.get("kind") == "ReplicaSet":
            return "Deployment", str(owner["name"]).rpartition("-")[0]
    return "", ""
