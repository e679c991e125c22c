"""Which objects run pods, where their templates stand, and how many pods make one group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shardwright.lint.objects import KubeObject, Path
from shardwright.lint.reading import dig, integer, mapping, mappings, text
from shardwright.lint.workload.pod import Pod, Role, read_pod, read_pod_spec

_MAX_SEARCH_DEPTH = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Workload:
    """An object that runs pods.

    replicas: of the pod (Deployment, StatefulSet, Job) or of the group (LeaderWorkerSet).
    is_managed: an operator we do not know in detail adds to the pods, so what is absent from the
    text may yet be there.
    """

    manifest: KubeObject
    pods: tuple[Pod, ...]
    replicas: int
    is_managed: bool = False

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.manifest.kind

    @property
    def name(self) -> str:
        """The object's name."""
        return self.manifest.name

    @property
    def namespace(self) -> str:
        """The object's namespace, "" where the text gives none."""
        return self.manifest.namespace

    @property
    def spec(self) -> dict[str, object]:
        """The object's spec."""
        return mapping(self.manifest.data.get("spec"))


def read_workload(obj: KubeObject) -> Workload | None:
    """Read an object as a workload; None if it runs no pods."""
    reader = _READERS.get(obj.kind)
    if reader is not None:
        workload = reader(obj)
        return workload if workload.pods and not _is_patch(workload) else None
    is_own = obj.group.endswith("k8s.io") and not obj.group.endswith(".x-k8s.io")
    if obj.kind in _PODLESS or not obj.group or is_own:
        return None
    pods = tuple(_search(obj.data.get("spec"), ("spec",), 0))
    return Workload(manifest=obj, pods=pods, replicas=1, is_managed=True) if pods else None


def _is_patch(workload: Workload) -> bool:
    """True for a kustomize patch, which names only what it changes: containers without image."""
    return any(
        not container.image.reference for pod in workload.pods for container in pod.containers
    )


def _plain(obj: KubeObject) -> Workload:
    spec = mapping(obj.data.get("spec"))
    pod = read_pod(spec.get("template"), ("spec", "template"))
    replicas = integer(spec.get("replicas"))
    return Workload(
        manifest=obj, pods=(pod,) if pod else (), replicas=1 if replicas is None else replicas
    )


def _pod(obj: KubeObject) -> Workload:
    pod = read_pod(obj.data, ())
    return Workload(manifest=obj, pods=(pod,) if pod else (), replicas=1)


def _job(obj: KubeObject) -> Workload:
    spec = mapping(obj.data.get("spec"))
    pod = read_pod(spec.get("template"), ("spec", "template"))
    return Workload(
        manifest=obj, pods=(pod,) if pod else (), replicas=integer(spec.get("parallelism")) or 1
    )


def _cron_job(obj: KubeObject) -> Workload:
    path: Path = ("spec", "jobTemplate", "spec", "template")
    pod = read_pod(dig(obj.data, *path), path)
    return Workload(manifest=obj, pods=(pod,) if pod else (), replicas=1)


def _leader_worker_set(obj: KubeObject) -> Workload:
    base: Path = ("spec", "leaderWorkerTemplate")
    template = mapping(dig(obj.data, *base))
    size = integer(template.get("size")) or 1
    pods: list[Pod] = []
    leader_at = "leaderTemplate" if template.get("leaderTemplate") else "workerTemplate"
    name = "leaderworkerset.sigs.k8s.io/name"
    leader = read_pod(
        template.get(leader_at),
        (*base, leader_at),
        role=Role.LEADER,
        labels={name: obj.name, "leaderworkerset.sigs.k8s.io/worker-index": "0"},
    )
    if leader:
        pods.append(leader)
    worker = read_pod(
        template.get("workerTemplate"),
        (*base, "workerTemplate"),
        role=Role.WORKER,
        count=size - 1,
        labels={name: obj.name},
    )
    if worker and size > 1:
        pods.append(worker)
    replicas = integer(dig(obj.data, "spec", "replicas"))
    return Workload(manifest=obj, pods=tuple(pods), replicas=1 if replicas is None else replicas)


_RAY_CLUSTER_AT: dict[str, tuple[Path, ...]] = {
    "RayCluster": (("spec",),),
    "RayService": (("spec", "rayClusterConfig"), ("spec", "rayClusterSpec")),
    "RayJob": (("spec", "rayClusterSpec"),),
    "RayClusterFleet": (("spec", "template", "spec"),),
    "RayClusterReplicaSet": (("spec", "template", "spec"),),
}


def _ray_cluster(obj: KubeObject) -> Workload:
    pods: list[Pod] = []
    for base in _RAY_CLUSTER_AT[obj.kind]:
        spec = mapping(dig(obj.data, *base))
        head_path = (*base, "headGroupSpec", "template")
        cluster = {"ray.io/cluster": obj.name, "ray.io/is-ray-node": "yes"}
        head = read_pod(
            dig(spec, "headGroupSpec", "template"),
            head_path,
            role=Role.RAY_HEAD,
            labels={**cluster, "ray.io/node-type": "head"},
        )
        if head:
            pods.append(head)
        for index, group in mappings(spec.get("workerGroupSpecs")):
            replicas = integer(group.get("replicas"))
            if replicas is None:
                replicas = integer(group.get("minReplicas")) or 0
            worker = read_pod(
                group.get("template"),
                (*base, "workerGroupSpecs", index, "template"),
                role=Role.RAY_WORKER,
                count=replicas * (integer(group.get("numOfHosts")) or 1),
                labels={**cluster, "ray.io/node-type": "worker"},
            )
            if worker:
                pods.append(worker)
    replicas_of_fleet = integer(dig(obj.data, "spec", "replicas"))
    return Workload(
        manifest=obj,
        pods=tuple(pods),
        replicas=1 if replicas_of_fleet is None else replicas_of_fleet,
        is_managed=obj.kind != "RayCluster",
    )


def _mpi_job(obj: KubeObject) -> Workload:
    pods: list[Pod] = []
    for name, role in (("Launcher", Role.LAUNCHER), ("Worker", Role.WORKER)):
        path: Path = ("spec", "mpiReplicaSpecs", name)
        replica = mapping(dig(obj.data, *path))
        count = integer(replica.get("replicas"))
        pod = read_pod(
            replica.get("template"),
            (*path, "template"),
            role=role,
            count=1 if count is None else count,
        )
        if pod:
            pods.append(pod)
    return Workload(manifest=obj, pods=tuple(pods), replicas=1)


_READERS: dict[str, Callable[[KubeObject], Workload]] = {
    "Pod": _pod,
    "Deployment": _plain,
    "StatefulSet": _plain,
    "ReplicaSet": _plain,
    "DaemonSet": _plain,
    "Job": _job,
    "CronJob": _cron_job,
    "LeaderWorkerSet": _leader_worker_set,
    "MPIJob": _mpi_job,
    **dict.fromkeys(_RAY_CLUSTER_AT, _ray_cluster),
}
_PODLESS = frozenset(
    {
        "CustomResourceDefinition",
        "Application",
        "HelmRelease",
        "Kustomization",
        "DisaggregatedSet",  # its roles are read as LeaderWorkerSets (`objects`)
    }
)


def _search(value: object, path: Path, depth: int) -> list[Pod]:
    """Find pod specs inside an object of a kind we do not know: a list `containers` of images."""
    found: list[Pod] = []
    if depth > _MAX_SEARCH_DEPTH:
        return found
    if isinstance(value, list):
        for index, item in enumerate(value):
            found.extend(_search(item, (*path, index), depth + 1))
        return found
    data = mapping(value)
    if any("image" in item for _, item in mappings(data.get("containers"))):
        metadata = None
        found.append(read_pod_spec(data, path, metadata, role=_guess_role(path), count=None))
    for key, item in data.items():
        if isinstance(item, dict | list) and key != "containers":
            found.extend(_search(item, (*path, key), depth + 1))
    return found


def _guess_role(path: Path) -> Role:
    words = text("/".join(str(step) for step in path)).lower()
    if "worker" in words:
        return Role.WORKER
    return Role.LEADER if "leader" in words or "head" in words else Role.SOLE
