"""Claims that several nodes would need at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from shardwright.lint.finding import Found, Rule
from shardwright.lint.scene import Scene
from shardwright.lint.storage import access_modes, claims_of, find_claim
from shardwright.lint.workload.kinds import Workload
from shardwright.model.finding import Severity

_MODES = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes"
_MAX_GPUS_PER_NODE = 8
"""No common server holds more; two pods whose GPUs exceed this cannot share a node."""
_SINGLE_NODE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


def _rwo_on_several_nodes(scene: Scene) -> Iterator[Found]:
    users: dict[tuple[str, str], list[tuple[Workload, int, int]]] = defaultdict(list)
    for workload in scene.workloads:
        if workload.kind in {"Job", "CronJob"}:  # a download that is done holds nothing
            continue
        for pod in workload.pods:
            for claim in claims_of(pod):
                num = _num_pods(workload, pod.count)
                users[workload.namespace, claim].append((workload, num, pod.gpus))
    meeting = {
        id(member.workload)
        for member in scene.members
        if member.ray_join or any(engine.asks_for_nodes for engine in member.command.engines)
    }
    for (_, claim), using in users.items():
        workload = using[0][0]
        modes = access_modes(scene, workload, claim)
        obj = find_claim(scene, workload, claim)
        num = sum(count for _, count, _ in using)
        if obj is None or num < 2 or not modes or not modes <= _SINGLE_NODE:
            continue
        gpus = sum(count * each for _, count, each in using)
        is_sure = gpus > _MAX_GPUS_PER_NODE and any(id(w) in meeting for w, _, _ in using)
        names = sorted({w.manifest.label for w, _, _ in using})
        yield Found(
            object=obj,
            path=("spec", "accessModes"),
            severity=Severity.ERROR if is_sure else Severity.WARNING,
            what=(
                f"{claim} can be attached to one node, and {num} pods of {', '.join(names)}"
                f" with {gpus} GPUs together mount it"
            ),
        )


def _num_pods(workload: Workload, count: int | None) -> int:
    if workload.kind == "LeaderWorkerSet":
        return workload.replicas * (count or 0)
    return (count or 1) * (workload.replicas if workload.kind != "Pod" else 1)


RULES = (
    Rule(
        code="rwo-on-several-nodes",
        severity=Severity.ERROR,
        title="a ReadWriteOnce claim that pods on several nodes mount",
        why=(
            "A ReadWriteOnce volume is attached to one node. Pods of a group that need more GPUs"
            " than a node has land on others and stay in ContainerCreating with a Multi-Attach"
            " error."
        ),
        remedy=(
            "use a ReadWriteMany (or ReadOnlyMany) claim on shared storage, or one cache per node"
        ),
        references=(_MODES,),
        check=_rwo_on_several_nodes,
    ),
)
