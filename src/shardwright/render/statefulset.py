"""StatefulSets: groups without any operator, a set for the leader and one for its workers."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan, Member
from shardwright.render.emit import Because, Object
from shardwright.render.gang import queued_metadata
from shardwright.render.guard import guard_objects, guarded
from shardwright.render.labels import GROUP, ROLE, selector
from shardwright.render.meeting import steps_after, steps_before
from shardwright.render.names import object_name
from shardwright.render.pod import Wiring, pod_template
from shardwright.render.services import group_service, group_service_name
from shardwright.render.symbols import Symbols

POD_INDEX = "metadata.labels['apps.kubernetes.io/pod-index']"


def statefulset_objects(plan: LaunchPlan) -> list[Object]:
    """Write two StatefulSets per group and the Service that names their pods.

    Worker pods are counted from 1 (spec.ordinals, Kubernetes 1.27), so the index of a pod is the
    index of its member. A group lives and dies together: see `guard`.
    """
    sets = [each for group in range(plan.replicas) for each in _group(plan, group)]
    return [*guard_objects(plan), group_service(plan), *sets]


def _group(plan: LaunchPlan, group: int) -> list[Object]:
    suffix = f"-{group}" if plan.replicas > 1 else ""
    leader = object_name("StatefulSet", plan.name, f"leader{suffix}")
    worker = object_name("StatefulSet", plan.name, f"worker{suffix}")
    domain = f"{group_service_name(plan)}.{plan.namespace}.svc"
    symbols = Symbols(
        leader_host=f"{leader}-0.{domain}",
        member_host=f"{worker}-{{index}}.{domain}",
        member_index="$(MEMBER_INDEX)",
        group_size=str(len(plan.group.members)),
        fields=(("MEMBER_INDEX", POD_INDEX),),
    )
    first, *others = plan.group.members
    out = [_set(plan, leader, [first], symbols, group)]
    if others:
        out.append(_set(plan, worker, others, symbols, group))
    return out


def _set(
    plan: LaunchPlan, name: str, members: list[Member], symbols: Symbols, group: int
) -> Object:
    member = members[0]
    before, after = steps_before(plan, member, symbols), steps_after(plan, member, symbols)
    own = Wiring(symbols=symbols, before=before, after=after, group=group)
    wiring = guarded(plan, member, own)
    spec: Object = {
        "replicas": len(members),
        "serviceName": group_service_name(plan),
        "podManagementPolicy": Because(
            "Parallel", "OrderedReady waits for the first pod, which waits for the second"
        ),
        "updateStrategy": {
            "type": Because("OnDelete", "a rolling update would mix versions within a group")
        },
        "selector": {"matchLabels": {**selector(plan), ROLE: member.role.value, GROUP: str(group)}},
        "template": pod_template(plan, member, wiring),
    }
    if member.index:
        spec["ordinals"] = {"start": Because(member.index, "a pod's index is its member's")}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": queued_metadata(plan, name),
        "spec": spec,
    }
