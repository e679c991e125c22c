"""Queues and gangs: what makes a group start whole or not at all.

Kueue reads a label of the workload; Volcano and Kubernetes itself read a PodGroup that every pod of
a group names. Sources: kueue.sigs.k8s.io/docs/tasks/run, volcano.sh/en/docs/podgroup, and
KEP-4671, whose PodGroup is scheduling.k8s.io/v1alpha2 in Kubernetes 1.36 and v1beta1 in 1.37.
"""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan
from shardwright.model.units import format_cpu, format_quantity
from shardwright.render.emit import Because, Object
from shardwright.render.labels import metadata
from shardwright.render.names import object_name

NATIVE_APIS = {"1.36": "scheduling.k8s.io/v1alpha2", "1.37": "scheduling.k8s.io/v1beta1"}
KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"
VOLCANO_GROUP = "scheduling.k8s.io/group-name"
VOLCANO_QUEUE = "scheduling.volcano.sh/queue-name"


def queued_metadata(plan: LaunchPlan, name: str, component: str = "serving") -> Object:
    """Write the metadata of a workload, with the queue Kueue admits it through."""
    out = metadata(plan, name, component)
    if plan.placement.queue and plan.group.gang in ("none", "kueue"):
        out["labels"] = {**out["labels"], KUEUE_QUEUE: plan.placement.queue}
    return out


def gang_annotations(plan: LaunchPlan, group: int | None) -> dict[str, str]:
    """Write what Volcano reads from a pod: its PodGroup, or for a pod alone its queue."""
    if plan.group.gang != "volcano":
        return {}
    if len(plan.group.members) > 1:
        return {VOLCANO_GROUP: _name(plan, group or 0)}
    return {VOLCANO_QUEUE: plan.placement.queue} if plan.placement.queue else {}


def gang_fields(plan: LaunchPlan, group: int | None) -> Object:
    """Write what a scheduler reads from the pod's spec."""
    if plan.group.gang == "native":
        return {"schedulingGroup": {"podGroupName": _name(plan, group or 0)}}
    return {}


def pod_groups(plan: LaunchPlan) -> list[Object]:
    """Write one PodGroup per group, where the scheduler wants one."""
    if len(plan.group.members) == 1 or plan.group.gang not in ("volcano", "native"):
        return []
    write = _volcano if plan.group.gang == "volcano" else _native
    return [write(plan, _name(plan, group)) for group in range(plan.replicas)]


def _name(plan: LaunchPlan, group: int) -> str:
    return object_name("PodGroup", plan.name, str(group) if plan.replicas > 1 else "")


def _native(plan: LaunchPlan, name: str) -> Object:
    size = Because(len(plan.group.members), "half a group would hold its GPUs for nothing")
    return {
        "apiVersion": NATIVE_APIS[plan.placement.kubernetes or "1.37"],
        "kind": "PodGroup",
        "metadata": metadata(plan, name),
        "spec": {"schedulingPolicy": {"gang": {"minCount": size}}},
    }


def _volcano(plan: LaunchPlan, name: str) -> Object:
    members = plan.group.members
    gpus = sum(member.gpus for member in members)
    spec: Object = {
        "minMember": Because(len(members), "half a group would hold its GPUs for nothing"),
        "minResources": {
            "cpu": format_cpu(sum(member.cpu_millis for member in members)),
            "memory": format_quantity(sum(member.memory_bytes for member in members)),
            plan.placement.gpu_resource: str(gpus),
        },
    }
    if plan.placement.queue:
        spec["queue"] = plan.placement.queue
    if plan.placement.priority_class:
        spec["priorityClassName"] = plan.placement.priority_class
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": metadata(plan, name),
        "spec": spec,
    }
