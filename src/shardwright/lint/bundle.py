"""All objects of one lint run, read once and indexed for the rules."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from shardwright.lint.command.invocation import EngineInvocation, RayStart, Site
from shardwright.lint.command.reader import ContainerCommand, ScriptAt, read_command
from shardwright.lint.objects import KubeObject
from shardwright.lint.reading import dig, mapping, text
from shardwright.lint.services import Service, read_service
from shardwright.lint.shell.values import unknown
from shardwright.lint.workload.container import Container
from shardwright.lint.workload.kinds import Workload, read_workload
from shardwright.lint.workload.pod import Pod, Role

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """A container that takes part in serving: it runs an engine or Ray, or asks for GPUs."""

    workload: Workload
    pod: Pod
    container: Container
    command: ContainerCommand
    engine: EngineInvocation | None
    """The engine it runs, the unconditional one first."""

    @property
    def object(self) -> KubeObject:
        """The object it is written in."""
        return self.workload.manifest

    @property
    def ray_head(self) -> RayStart | None:
        """The Ray head it starts."""
        return next((ray for ray in self.command.rays if ray.is_head), None)

    @property
    def ray_join(self) -> RayStart | None:
        """The Ray cluster it joins."""
        return next((ray for ray in self.command.rays if not ray.is_head), None)

    @property
    def is_kuberay(self) -> bool:
        """True if the KubeRay operator starts Ray in this pod."""
        return self.pod.role is Role.RAY_HEAD or self.pod.role is Role.RAY_WORKER


class Bundle:
    """The objects of a run. Everything is computed on first use and kept."""

    def __init__(self, objects: tuple[KubeObject, ...]) -> None:
        self.objects = objects
        self.resolved: dict[tuple[str, str, str], object] = {}
        """Answers of `names.resolve`, which rules ask again and again."""
        self._services_of: dict[int, list[Service]] = {}

    @cached_property
    def by_kind(self) -> Mapping[str, list[KubeObject]]:
        """Objects by kind."""
        return _grouped(self.objects, lambda obj: obj.kind)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Objects that run pods."""
        found = (read_workload(obj) for obj in self.objects)
        return tuple(workload for workload in found if workload is not None)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Containers that serve, in the order of the text."""
        return tuple(member for workload in self.workloads for member in self._members(workload))

    def members_of(self, workload: Workload | None) -> list[Member]:
        """List the members of a workload."""
        return self._members_by_workload.get(id(workload), [])

    def members_in(self, namespace: str) -> list[Member]:
        """List the members of a namespace."""
        return self._members_by_namespace.get(namespace, [])

    @cached_property
    def _members_by_workload(self) -> Mapping[int, list[Member]]:
        return _grouped(self.members, lambda member: id(member.workload))

    @cached_property
    def _members_by_namespace(self) -> Mapping[str, list[Member]]:
        return _grouped(self.members, lambda member: member.workload.namespace)

    @cached_property
    def engines(self) -> tuple[tuple[Member, EngineInvocation], ...]:
        """Every engine, with its container."""
        return tuple((member, each) for member in self.members for each in member.command.engines)

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """The Services."""
        return tuple(read_service(obj) for obj in self.by_kind.get("Service", ()))

    @cached_property
    def workloads_by_name(self) -> Mapping[tuple[str, str], list[Workload]]:
        """Workloads by (namespace, name)."""
        return _grouped(self.workloads, lambda w: (w.namespace, w.name))

    @cached_property
    def services_by_name(self) -> Mapping[tuple[str, str], Service]:
        """Services by (namespace, name)."""
        return {(s.object.namespace, s.object.name): s for s in self.services}

    @cached_property
    def claims(self) -> Mapping[tuple[str, str], KubeObject]:
        """PersistentVolumeClaims by (namespace, name)."""
        return {(o.namespace, o.name): o for o in self.by_kind.get("PersistentVolumeClaim", ())}

    @cached_property
    def claims_by_name(self) -> Mapping[str, list[KubeObject]]:
        """PersistentVolumeClaims by name, of any namespace."""
        return _grouped(self.by_kind.get("PersistentVolumeClaim", ()), lambda obj: obj.name)

    @cached_property
    def config_maps(self) -> Mapping[tuple[str, str], KubeObject]:
        """ConfigMaps by (namespace, name)."""
        return {(o.namespace, o.name): o for o in self.by_kind.get("ConfigMap", ())}

    @cached_property
    def workloads_by_hostname(self) -> Mapping[tuple[str, str, str], Workload]:
        """Workloads whose pods set their own name: by (namespace, hostname, subdomain)."""
        found: dict[tuple[str, str, str], Workload] = {}
        for workload in self.workloads:
            for pod in workload.pods:
                hostname, subdomain = text(pod.data.get("hostname")), pod.data.get("subdomain")
                if hostname and subdomain:
                    found[workload.namespace, hostname, text(subdomain)] = workload
        return found

    @cached_property
    def workloads_by_namespace(self) -> Mapping[str, list[Workload]]:
        """Workloads by namespace."""
        return _grouped(self.workloads, lambda workload: workload.namespace)

    def workloads_behind(self, service: Service) -> list[Workload]:
        """List the workloads whose pods a Service selects."""
        return [
            workload
            for workload in self.workloads_by_namespace.get(service.object.namespace, ())
            if any(service.selects(pod.labels) for pod in workload.pods)
        ]

    def services_of(self, workload: Workload, pod: Pod) -> list[Service]:
        """List the Services that select a pod."""
        if id(pod) not in self._services_of:
            of_namespace = self._services_by_namespace.get(workload.namespace, ())
            self._services_of[id(pod)] = [s for s in of_namespace if s.selects(pod.labels)]
        return self._services_of[id(pod)]

    @cached_property
    def _services_by_namespace(self) -> Mapping[str, list[Service]]:
        return _grouped(self.services, lambda service: service.object.namespace)

    def _members(self, workload: Workload) -> Iterator[Member]:
        for pod in workload.pods:
            for container in pod.containers:
                site = Site(object=workload.manifest, path=container.path)
                command = read_command(
                    container,
                    _controller_variables(workload, pod),
                    self._script_at(workload, pod, container),
                    site,
                )
                is_serving = command.engines or command.rays or container.gpus
                if is_serving or (pod.role in {Role.RAY_HEAD, Role.RAY_WORKER} and container.gpus):
                    yield Member(
                        workload=workload,
                        pod=pod,
                        container=container,
                        command=command,
                        engine=_main_engine(command.engines),
                    )

    def _script_at(self, workload: Workload, pod: Pod, container: Container) -> ScriptAt:
        """Make the function that finds scripts in the ConfigMaps a container mounts."""

        def script_at(path: str) -> tuple[str, Site] | None:
            mount = container.mount_at(path) if path.startswith("/") else None
            volume = pod.volumes.get(mount.volume) if mount else None
            if mount is None or volume is None or volume.kind != "configMap":
                return None
            obj = self.config_maps.get((workload.namespace, volume.source_name))
            if obj is None:
                return None
            name = path[len(mount.mount_path) :].lstrip("/") or mount.sub_path
            for _, item in enumerate(_items(pod, volume.path)):
                if text(item.get("path")) == name:
                    name = text(item.get("key"))
            content = mapping(obj.data.get("data")).get(name)
            if not isinstance(content, str):
                return None
            return content, Site(object=obj, path=("data", name))

        return script_at


def _grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Group items by a key, in their order."""
    found: dict[Key, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _main_engine(engines: list[EngineInvocation]) -> EngineInvocation | None:
    return next((e for e in engines if not e.is_conditional), engines[0] if engines else None)


def _items(pod: Pod, path: tuple[str | int, ...]) -> list[dict[str, object]]:
    index = path[-1]
    found = dig(pod.data, "volumes", index, "configMap", "items")
    return [mapping(item) for item in found] if isinstance(found, list) else []


def _controller_variables(workload: Workload, pod: Pod) -> dict[str, str]:
    """Name the variables a controller adds to the containers of its pods."""
    if workload.kind != "LeaderWorkerSet":
        return {}
    size = dig(workload.spec, "leaderWorkerTemplate", "size")
    index = "0" if pod.role is Role.LEADER else unknown("LWS_WORKER_INDEX")
    return {
        "LWS_LEADER_ADDRESS": unknown("LWS_LEADER_ADDRESS"),
        "LWS_GROUP_SIZE": text(size) or "1",
        "LWS_WORKER_INDEX": index,
    }
