"""Which member of which group a pod is, from the labels that its controller gave it.

Called by progress, logs and verification, and by rehearsals on a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shardwright.model.cluster import Object
from shardwright.model.running import Seat

_LWS = "leaderworkerset.sigs.k8s.io/worker-index"
_POD_INDEX = "apps.kubernetes.io/pod-index"
_RAY_ROLE = "ray.io/node-type"
_OWN_GROUP = "shardwright.dev/group"
_LWS_GROUP = "leaderworkerset.sigs.k8s.io/group-index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seated:
    """A pod and its place: group and member count from 0."""

    pod: Object
    group: int
    member: int

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])


def has_successor(pod: Object) -> bool:
    """Tell whether a pod has ended for good and another has its place.

    A ReplicaSet makes another pod in place of an evicted one and leaves that lie, with nothing in
    it, until somebody deletes it; every other controller of ours deletes it first.
    """
    owners = pod["metadata"].get("ownerReferences", [])
    ended = pod.get("status", {}).get("phase") in ("Failed", "Succeeded")
    return ended and any(each.get("kind") == "ReplicaSet" for each in owners)


def seated(pods: Iterable[Object]) -> tuple[Seated, ...]:
    """Say where each pod sits, by group and member.

    LWS makes its workers by a StatefulSet whose pod index is not the member's, so its own label
    goes first. KubeRay numbers nothing: its head leads, its workers follow by name. Pods of a
    Deployment are a group each.
    """
    out = []
    ordered = sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
    ray_workers: dict[int, int] = {}
    alone = 0
    for pod in ordered:
        labels = pod["metadata"].get("labels", {})
        group = int(labels.get(_LWS_GROUP, labels.get(_OWN_GROUP, 0)))
        if _LWS in labels or _POD_INDEX in labels:
            member = int(labels.get(_LWS, labels.get(_POD_INDEX)))
        elif labels.get(_RAY_ROLE) == "worker":
            member = ray_workers[group] = ray_workers.get(group, 0) + 1
        elif _RAY_ROLE in labels:
            member = 0
        else:
            group, member, alone = alone, 0, alone + 1
        out.append(Seated(pod=pod, group=group, member=member))
    return tuple(sorted(out, key=lambda each: (each.group, each.member, each.name)))


def seats_of(pods: Iterable[Object], group: int = 0) -> tuple[Seat, ...]:
    """Give the address of each member of one group that has one."""
    return tuple(
        Seat(member=each.member, address=address)
        for each in seated(pods)
        if each.group == group and (address := each.pod.get("status", {}).get("podIP"))
    )
