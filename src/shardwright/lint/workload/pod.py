"""Pods as their templates describe them: containers, volumes, and what the kubelet is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from shardwright.lint.objects import Path
from shardwright.lint.reading import mapping, mappings, string_map, text
from shardwright.lint.workload.container import Container, read_container
from shardwright.model.units import parse_quantity

_NONE: Mapping[str, str] = MappingProxyType({})


class Role(Enum):
    """What a pod is to its group."""

    SOLE = "pod"
    """Every pod of the workload is alike."""
    LEADER = "leader"
    WORKER = "worker"
    RAY_HEAD = "Ray head"
    RAY_WORKER = "Ray worker"
    LAUNCHER = "launcher"


class Volume(NamedTuple):
    """A pod volume. kind: its source's field name, such as `emptyDir`."""

    name: str
    kind: str
    claim: str
    """The PersistentVolumeClaim's name, "" for other kinds."""
    source_name: str
    """The name of the ConfigMap or Secret, "" for other kinds."""
    is_memory: bool
    size_limit_bytes: int | None
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pod:
    """A pod template in a workload. path: of its spec, from the object's root.

    count: pods of this template in one group; None when that cannot be told.
    """

    role: Role
    count: int | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    volumes: Mapping[str, Volume]
    host_network: bool
    host_ipc: bool
    dns_policy: str
    scheduler_name: str
    data: dict[str, object]
    path: Path

    @property
    def has_sidecars(self) -> bool:
        """True if other containers run beside the engine and may answer on ports of their own."""
        return len(self.containers) > 1 or any(
            container.data.get("restartPolicy") == "Always" for container in self.init_containers
        )

    @property
    def gpus(self) -> int:
        """Whole GPUs of all containers."""
        return sum(container.gpus for container in self.containers)

    def volume_at(self, container: Container, directory: str) -> Volume | None:
        """Find the volume that holds a directory of a container."""
        mount = container.mount_at(directory)
        return self.volumes.get(mount.volume) if mount else None


def read_pod(
    template: object,
    path: Path,
    *,
    role: Role = Role.SOLE,
    count: int | None = 1,
    labels: Mapping[str, str] = _NONE,
) -> Pod | None:
    """Read a pod template (`metadata` and `spec`); None if there is no pod in it.

    labels: what the controller puts on every pod of the template.
    """
    data = mapping(template)
    spec = mapping(data.get("spec"))
    if not spec:
        return None
    meta = data.get("metadata")
    return read_pod_spec(spec, (*path, "spec"), meta, role=role, count=count, labels=labels)


def read_pod_spec(
    spec: dict[str, object],
    path: Path,
    metadata: object = None,
    *,
    role: Role = Role.SOLE,
    count: int | None = 1,
    labels: Mapping[str, str] = _NONE,
) -> Pod:
    """Read a pod spec that may stand outside a template."""
    meta = mapping(metadata)
    return Pod(
        role=role,
        count=count,
        labels={**string_map(meta.get("labels")), **labels},
        annotations=string_map(meta.get("annotations")),
        containers=tuple(
            read_container(item, (*path, "containers", index))
            for index, item in mappings(spec.get("containers"))
        ),
        init_containers=tuple(
            read_container(item, (*path, "initContainers", index), is_init=True)
            for index, item in mappings(spec.get("initContainers"))
        ),
        volumes=_volumes(spec.get("volumes"), (*path, "volumes")),
        host_network=spec.get("hostNetwork") is True,
        host_ipc=spec.get("hostIPC") is True,
        dns_policy=text(spec.get("dnsPolicy")) or "ClusterFirst",
        scheduler_name=text(spec.get("schedulerName")),
        data=spec,
        path=path,
    )


def _volumes(value: object, path: Path) -> dict[str, Volume]:
    found: dict[str, Volume] = {}
    for index, item in mappings(value):
        name = text(item.get("name"))
        kind = _source_of(item)
        source = mapping(item.get(kind)) if kind else {}
        is_scratch = kind == "emptyDir"
        limit = text(source.get("sizeLimit")) if is_scratch else ""
        found[name] = Volume(
            name=name,
            kind=kind,
            claim=text(source.get("claimName")) if kind == "persistentVolumeClaim" else "",
            source_name=text(source.get("name")) or text(source.get("secretName")),
            is_memory=is_scratch and text(source.get("medium")).startswith("Memory"),
            size_limit_bytes=parse_quantity(limit) if limit else None,
            path=(*path, index),
        )
    return found


def _source_of(volume: dict[str, object]) -> str:
    """Name the field of a volume's source: the one beside its name."""
    for key in volume:
        if key != "name":
            return str(key)
    return ""
