"""Host memory: /dev/shm, and the limit everything counts against."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from shardwright.engines import ENGINES
from shardwright.lint.bundle import Member
from shardwright.lint.command.dialects import Engine
from shardwright.lint.finding import Found, Rule
from shardwright.lint.fixes import add_shared_memory
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity
from shardwright.model.launch import Ray
from shardwright.model.units import MIB, format_quantity, gib

_SHM = "/dev/shm"  # noqa: S108
_DEFAULT_SHM = 64 * MIB
"""What containerd and CRI-O mount unless told otherwise."""
_DOCS = "https://kubernetes.io/docs/concepts/storage/volumes/#emptydir"


def needed_shm_bytes(member: Member) -> int:
    """Shared memory the ranks of one pod need: the engine's own formula, vLLM's for the others.

    Data-parallel copies are engines of their own, each with its own ranks.
    """
    name = member.engine.engine.value if member.engine else Engine.VLLM.value
    uses_ray = bool(member.command.rays) or member.is_kuberay
    local_ranks = max(1, member.container.gpus)
    return _shm_bytes(name, local_ranks, _copies(member, local_ranks), uses_ray)


def _copies(member: Member, local_ranks: int) -> int:
    """Copies of the model in one pod; 1 where ranks and GPUs do not go together."""
    engine = member.engine
    if engine is None or not engine.is_data_parallel or not engine.ranks:
        return 1
    return local_ranks // engine.ranks if local_ranks % engine.ranks == 0 else 1


@cache
def _shm_bytes(name: str, local_ranks: int, copies: int, uses_ray: bool) -> int:
    engine = next((e for e in ENGINES if e.name == name), ENGINES[0])
    return engine.shm_bytes(local_ranks, copies, Ray(port=6379) if uses_ray else None)


def _is_concerned(member: Member) -> bool:
    """Several ranks in one pod talk through /dev/shm; a single one hardly does."""
    return (
        member.container.gpus > 1
        and not member.pod.host_ipc
        and not member.workload.is_managed
        and (member.engine is not None or bool(member.command.rays) or member.is_kuberay)
    )


def _mounts_itself(member: Member) -> bool:
    """True for the Ray container of a KubeRay pod, its first: the operator gives it a memory volume
    at /dev/shm as large as its memory (ray-operator, BuildPod, `shared-mem`).
    """
    return member.is_kuberay and member.container is member.pod.containers[0]


def _shm_missing(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        if not _is_concerned(member):
            continue
        if not _mounts_itself(member) and member.container.mount_at(_SHM) is None:
            need = needed_shm_bytes(member)
            yield Found(
                object=member.object,
                path=(*member.container.path, "volumeMounts"),
                what=(
                    f"{member.container.gpus} GPUs in container {member.container.name} share"
                    f" /dev/shm, which is the runtime's {format_quantity(_DEFAULT_SHM)}"
                ),
                remedy=(
                    f"mount an emptyDir with medium: Memory and sizeLimit: {format_quantity(need)}"
                    " at /dev/shm, and count it in the memory limit"
                ),
                fix=add_shared_memory(member, need),
            )


def _shm_small(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        if not _is_concerned(member):
            continue
        volume = member.pod.volume_at(member.container, _SHM)
        if volume is None or not volume.is_memory or volume.size_limit_bytes is None:
            continue
        need = needed_shm_bytes(member)
        if volume.size_limit_bytes < need:
            yield Found(
                object=member.object,
                path=(*volume.path, "emptyDir", "sizeLimit"),
                what=(
                    f"{_SHM} has {gib(volume.size_limit_bytes)};"
                    f" {member.container.gpus} ranks need {gib(need)}"
                ),
                remedy=f"set sizeLimit: {format_quantity(need)}",
            )


def _shm_over_memory_limit(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        for pod in workload.pods:
            for container in pod.containers:
                limit = container.memory_limit_bytes
                if limit is None:
                    continue
                for mount in container.mounts:
                    volume = pod.volumes.get(mount.volume)
                    if volume is None or not volume.is_memory:
                        continue
                    size = volume.size_limit_bytes
                    if size is not None and size > limit:
                        yield Found(
                            object=workload.manifest,
                            path=(*volume.path, "emptyDir", "sizeLimit"),
                            what=(
                                f"memory volume {volume.name} may hold {gib(size)}, more than"
                                f" the memory limit of container {container.name}, {gib(limit)}"
                            ),
                        )


def _memory_limit_missing(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        container = member.container
        if container.gpus and "memory" not in container.limits and not member.workload.is_managed:
            yield Found(
                object=member.object,
                path=(*container.path, "resources", "limits"),
                what=f"container {container.name} holds {container.gpus} GPUs and no memory limit",
            )


RULES = (
    Rule(
        code="shm-missing",
        severity=Severity.WARNING,
        title=f"{_SHM} is the container runtime's 64 MiB",
        why=(
            "Ranks in one pod pass work and tensors through /dev/shm: the engine's message queues,"
            " and NCCL where GPUs have no direct path. The runtime gives 64 MiB; the first large"
            ' message ends in "Bus error" or NCCL\'s "Error while creating shared memory segment".'
        ),
        remedy="mount an emptyDir with medium: Memory at /dev/shm",
        references=(_DOCS, "https://github.com/vllm-project/vllm/issues/1710"),
        check=_shm_missing,
    ),
    Rule(
        code="shm-small",
        severity=Severity.WARNING,
        title=f"{_SHM} is smaller than the ranks need",
        why=(
            "Each rank has message rings in /dev/shm, and NCCL its buffers when it falls back to"
            " shared memory. What exceeds sizeLimit ends in a bus error or in the pod's eviction,"
            " often only under load."
        ),
        remedy="raise sizeLimit, and the memory limit with it",
        references=(_DOCS,),
        check=_shm_small,
    ),
    Rule(
        code="shm-over-memory-limit",
        severity=Severity.WARNING,
        title="a memory volume may outgrow the memory limit",
        why=(
            "Files in an emptyDir with medium: Memory count against the container's memory limit."
            " Once they pass it the container is OOM-killed, long before sizeLimit is reached."
        ),
        remedy="set sizeLimit below the memory limit, or raise the limit",
        references=(_DOCS,),
        check=_shm_over_memory_limit,
    ),
    Rule(
        code="memory-limit-missing",
        severity=Severity.WARNING,
        title="a GPU container has no memory limit",
        why=(
            "Loading weights fills the page cache and pinned buffers by the hundred GiB. Without a"
            " limit the node itself runs out, and the kernel kills whichever process it likes,"
            " perhaps another tenant's."
        ),
        remedy="set resources.limits.memory: host buffers plus /dev/shm, usually 16 GiB per GPU",
        references=(
            "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
        ),
        check=_memory_limit_missing,
    ),
)
