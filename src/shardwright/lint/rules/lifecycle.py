"""How groups start, are updated and are lost: controllers' settings against ranks that meet."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.finding import Fix, Found, Rule
from shardwright.lint.fixes import add_key, replace_scalar, set_key
from shardwright.lint.groups import Group, Span
from shardwright.lint.reading import dig, mapping, text
from shardwright.lint.scene import Scene
from shardwright.lint.storage import access_modes, claims_of
from shardwright.lint.workload.container import ProbeKind
from shardwright.lint.workload.kinds import Workload
from shardwright.model.finding import Severity

_STS = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/"
_LWS = "https://lws.sigs.k8s.io/docs/reference/leaderworkerset.v1/"


def waits_to_be_ready(member: Member) -> bool:
    """True if the pod counts as ready only after its engine answers."""
    probes = member.container.probes
    return ProbeKind.READINESS in probes or ProbeKind.STARTUP in probes


def _rank_sets(scene: Scene) -> Iterator[tuple[Workload, Group]]:
    """Yield StatefulSets of which several pods meet in one group."""
    seen: set[int] = set()
    for group in scene.groups:
        if not group.is_distributed:
            continue
        for member, _ in group.members:
            workload = member.workload
            if workload.kind == "StatefulSet" and id(workload) not in seen:
                seen.add(id(workload))
                yield workload, group


def _ordered_ready(scene: Scene) -> Iterator[Found]:
    for workload, group in _rank_sets(scene):
        policy = text(workload.spec.get("podManagementPolicy")) or "OrderedReady"
        meets_in_set = group.lead.workload is workload and workload.replicas > 1
        if policy != "OrderedReady" or not meets_in_set:
            continue
        blocks = waits_to_be_ready(group.lead)
        yield Found(
            object=workload.manifest,
            path=("spec", "podManagementPolicy"),
            severity=Severity.ERROR if blocks else Severity.WARNING,
            what=(
                f"pod {workload.name}-1 is created only when {workload.name}-0 is ready"
                + (", and that waits for its peers" if blocks else "")
            ),
            fix=set_key(workload.manifest, ("spec",), "podManagementPolicy", "Parallel"),
        )


def _rolling_update(scene: Scene) -> Iterator[Found]:
    for workload, group in _rank_sets(scene):
        strategy = text(dig(workload.spec, "updateStrategy", "type")) or "RollingUpdate"
        is_group = workload.replicas > 1 or len(group.members) > 1
        if strategy == "RollingUpdate" and is_group:
            yield Found(
                object=workload.manifest,
                path=("spec", "updateStrategy", "type"),
                what=f"an update of {workload.name} replaces ranks one by one in a running group",
            )


def _leader_ready(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        workload = group.lead.workload
        if group.span is not Span.LEADER_WORKER_SET:
            continue
        if text(workload.spec.get("startupPolicy")) != "LeaderReady":
            continue
        blocks = waits_to_be_ready(group.lead)
        edit = replace_scalar(workload.manifest, ("spec", "startupPolicy"), "LeaderCreated")
        yield Found(
            object=workload.manifest,
            path=("spec", "startupPolicy"),
            severity=Severity.ERROR if blocks else Severity.WARNING,
            what="workers are created only when the leader is ready, and it waits for them",
            fix=Fix(summary="set startupPolicy: LeaderCreated", edits=(edit,)) if edit else None,
        )


def _update_cannot_fit(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        if workload.kind != "Deployment" or not workload.replicas:
            continue
        strategy = text(dig(workload.spec, "strategy", "type")) or "RollingUpdate"
        surge = dig(workload.spec, "strategy", "rollingUpdate", "maxSurge")
        if strategy == "Recreate" or text(surge) in {"0", "0%"}:
            continue
        pod = workload.pods[0]
        modes = [(c, access_modes(scene, workload, c)) for c in claims_of(pod)]
        single = next((claim for claim, mode in modes if mode and mode <= _SINGLE), None)
        if pod.gpus < 1 or (pod.gpus < _WHOLE_NODE and single is None):
            continue
        held = f"{pod.gpus} GPUs" + (f" and the ReadWriteOnce claim {single}" if single else "")
        yield Found(
            object=workload.manifest,
            path=("spec", "strategy"),
            what=f"a rolling update starts the new pod while the old one still holds {held}",
            fix=_recreate(workload),
        )


_WHOLE_NODE = 4
_SINGLE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


def _recreate(workload: Workload) -> Fix | None:
    obj = workload.manifest
    if "strategy" in workload.spec:
        return None
    edit = add_key(obj, ("spec",), "strategy", "{type: Recreate}")
    return Fix(summary="set strategy: {type: Recreate}", edits=(edit,)) if edit else None


def _half_groups(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        workload = group.lead.workload
        if group.span is not Span.LEADER_WORKER_SET or group.instances < 2:
            continue
        pods = [member.pod for member, _ in group.members]
        is_gang = (
            any(pod.scheduler_name not in {"", "default-scheduler"} for pod in pods)
            or _has_queue(workload)
            or any("kueue.x-k8s.io/queue-name" in pod.labels for pod in pods)
        )
        if group.gpus and not is_gang:
            yield Found(
                object=workload.manifest,
                path=("spec", "replicas"),
                what=(
                    f"{group.instances} groups of {group.num_pods} pods are scheduled pod by pod:"
                    " each may get half of its GPUs and wait for the other half for ever"
                ),
            )


def _has_queue(workload: Workload) -> bool:
    metadata = mapping(workload.manifest.data.get("metadata"))
    keys = (*mapping(metadata.get("labels")), *mapping(metadata.get("annotations")))
    return any("queue-name" in key or "pod-group" in key for key in keys)


RULES = (
    Rule(
        code="ordered-ready",
        severity=Severity.ERROR,
        title="OrderedReady on a StatefulSet whose pods wait for each other",
        why=(
            "With podManagementPolicy OrderedReady, the default, a StatefulSet creates the next pod"
            " only when the one before is ready. Rank 0 becomes ready when all ranks have met, so"
            " with a readiness or startup probe the second pod never comes to be."
        ),
        remedy="set spec.podManagementPolicy: Parallel (immutable: delete and apply again)",
        references=(f"{_STS}#pod-management-policies",),
        check=_ordered_ready,
    ),
    Rule(
        code="rolling-update-mixes-group",
        severity=Severity.WARNING,
        title="RollingUpdate on a group of ranks",
        why=(
            "RollingUpdate replaces one pod and waits until it is ready. The new rank meets peers"
            " of the old version, whose group it has just broken: at best the update hangs."
        ),
        remedy="set spec.updateStrategy.type: OnDelete and delete all pods of the group at once",
        references=(f"{_STS}#update-strategies",),
        check=_rolling_update,
    ),
    Rule(
        code="leader-ready",
        severity=Severity.ERROR,
        title="LeaderReady with an engine whose ranks meet at start",
        why=(
            "startupPolicy LeaderReady creates workers after the leader is ready, but the leader's"
            " engine becomes ready only when every worker has joined: the group waits for itself."
        ),
        remedy="remove spec.startupPolicy, or set LeaderCreated",
        references=(_LWS,),
        check=_leader_ready,
    ),
    Rule(
        code="rolling-update-cannot-fit",
        severity=Severity.WARNING,
        title="a rolling update needs GPUs or a volume twice",
        why=(
            "A Deployment's default update starts a new pod before the old one stops. Where GPUs"
            " are all taken it stays Pending, and a ReadWriteOnce volume cannot be attached to a"
            " second node (Multi-Attach error); the update never ends."
        ),
        remedy="set spec.strategy: {type: Recreate}, or rollingUpdate with maxSurge: 0",
        references=(
            "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy",
        ),
        check=_update_cannot_fit,
    ),
    Rule(
        code="half-groups-deadlock",
        severity=Severity.WARNING,
        title="two groups that can each hold half of the GPUs",
        why=(
            "Without gang scheduling every pod is placed alone. On a full cluster two groups can"
            " each hold part of their pods; neither can start and neither lets go."
        ),
        remedy="add a Kueue queue name, or a gang scheduler such as Volcano, to the pods",
        references=(
            "https://lws.sigs.k8s.io/docs/concepts/",
            "https://kueue.sigs.k8s.io/docs/tasks/run/leaderworkerset/",
        ),
        check=_half_groups,
    ),
)
