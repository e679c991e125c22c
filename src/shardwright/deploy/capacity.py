"""How many pods of a group the nodes can hold now: GPUs that are there, less those taken. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shardwright.model.cluster import Object
from shardwright.model.launch import Group, Placement
from shardwright.model.units import parse_quantity

_BLOCKING = frozenset({"NoSchedule", "NoExecute"})
_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGpus:
    """GPUs of one node that takes our pods."""

    node: str
    total: int
    free: int


def usable_gpus(
    nodes: Iterable[Object], pods: Iterable[Object], placement: Placement
) -> tuple[NodeGpus, ...]:
    """Count GPUs on every node that our node selector and tolerations allow.

    pods: those of the whole cluster, without the endpoint's own, which it may replace.
    """
    resource = placement.gpu_resource
    taken: dict[str, int] = {}
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        if node and pod.get("status", {}).get("phase") not in _ENDED:
            taken[node] = taken.get(node, 0) + _requested(pod, resource)
    out = []
    for item in nodes:
        name = item["metadata"]["name"]
        allocatable = item.get("status", {}).get("allocatable", {})
        total = parse_quantity(str(allocatable.get(resource, "0"))) or 0
        if total and _takes(item, placement):
            out.append(NodeGpus(node=name, total=total, free=total - taken.get(name, 0)))
    return tuple(sorted(out, key=lambda each: each.node))


def num_slots(nodes: Iterable[NodeGpus], gpus_per_pod: int) -> int:
    """Count the pods with so many GPUs each that fit.

    >>> num_slots([NodeGpus(node="a", total=8, free=8), NodeGpus(node="b", total=8, free=7)], 4)
    3
    """
    return sum(max(0, each.free) // gpus_per_pod for each in nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricRoom:
    """Where whole groups fit, none of them across two fabrics. slots: pods by value of the key."""

    key: str
    slots: Mapping[str, int]
    members: int

    @property
    def num_groups(self) -> int:
        """Count the groups that fit."""
        return sum(count // self.members for count in self.slots.values())

    def __str__(self) -> str:
        """Say what fits where.

        >>> str(FabricRoom(key="rack", slots={"r1": 1, "r2": 3}, members=2))
        'r1: 1 fit; r2: 3 fit'
        """
        told = (f"{value}: {count} fit" for value, count in self.slots.items())
        return "; ".join(told) or f"no usable node has the label {self.key}"


def fabric_room(
    usable: Iterable[NodeGpus], nodes: Iterable[Object], group: Group, gpus_per_pod: int
) -> FabricRoom | None:
    """Count by fabric what fits; None for a group that need not be within one."""
    key, members = group.topology_domain, len(group.members)
    if key is None or members == 1:
        return None
    labels = {node["metadata"]["name"]: node["metadata"].get("labels", {}) for node in nodes}
    domains: dict[str, list[NodeGpus]] = {}
    for each in usable:
        value = labels[each.node].get(key)
        if value is not None:
            domains.setdefault(value, []).append(each)
    slots = {value: num_slots(each, gpus_per_pod) for value, each in sorted(domains.items())}
    return FabricRoom(key=key, slots=slots, members=members)


def _requested(pod: Object, resource: str) -> int:
    """Count what a pod holds: its containers and sidecars at once, or the greediest of its init
    containers beside the sidecars started before it, whichever is more.

    Source: k8s.io/component-helpers, resource/helpers.go (PodRequests); KEP-753.
    """
    sidecars = greediest = 0
    for each in pod["spec"].get("initContainers", []):
        asked = _limit(each, resource)
        greediest = max(greediest, sidecars + asked)
        if each.get("restartPolicy") == "Always":
            sidecars += asked
    mains = sum(_limit(each, resource) for each in pod["spec"].get("containers", []))
    return max(greediest, sidecars + mains)


def _limit(container: Object, resource: str) -> int:
    limits = (container.get("resources") or {}).get("limits") or {}
    return parse_quantity(str(limits.get(resource, "0"))) or 0


def _takes(node: Object, placement: Placement) -> bool:
    labels = node["metadata"].get("labels", {})
    if any(labels.get(key) != value for key, value in placement.node_selector):
        return False
    spec = node.get("spec", {})
    tolerations = [dict(each) for each in placement.tolerations]
    # the scheduler adds a toleration for extended resources only where that plugin is on
    taints = [taint for taint in spec.get("taints", []) if taint.get("effect") in _BLOCKING]
    return not spec.get("unschedulable") and all(
        any(_tolerates(each, taint) for each in tolerations) for taint in taints
    )


def _tolerates(toleration: Mapping[str, str], taint: Object) -> bool:
    """Follow Kubernetes' rule: an empty key or effect matches all, Exists ignores the value."""
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    exists = toleration.get("operator", "Equal") == "Exists"
    return exists or toleration.get("value", "") == taint.get("value", "")
