"""Containers: image, command, environment, resources, mounts and probes, as written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from shardwright.lint.objects import Path
from shardwright.lint.reading import dig, integer, mapping, mappings, sequence, text
from shardwright.model.units import parse_quantity

GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "gpu.intel.com/i915")
_MIG = re.compile(r"nvidia\.com/(?:mig-|gpu\.shared)")
_RDMA = re.compile(
    r"(?:^|[./-])(?:rdma|ib|infiniband|roce|efa|hca|sriov|mlnx|mellanox)", re.IGNORECASE
)
_NAMELESS = frozenset({"cpu", "memory", "ephemeral-storage", "storage"})


class Image(NamedTuple):
    """An image reference split as registries do. repository has no tag and no digest."""

    reference: str
    repository: str
    tag: str
    digest: str

    @property
    def base(self) -> str:
        """The last part of the repository: `vllm-openai`."""
        return self.repository.rpartition("/")[2]


@lru_cache(maxsize=1024)
def parse_image(reference: str) -> Image:
    """Split an image reference.

    >>> image = parse_image("registry.example:5000/vllm/vllm-openai:v0.9.1")
    >>> image.repository, image.tag
    ('registry.example:5000/vllm/vllm-openai', 'v0.9.1')
    """
    name, _, digest = reference.strip().partition("@")
    head, colon, tail = name.rpartition(":")
    has_tag = bool(colon) and "/" not in tail
    return Image(
        reference=reference,
        repository=head if has_tag else name,
        tag=tail if has_tag else "",
        digest=digest,
    )


class EnvVar(NamedTuple):
    """value: None when it comes from elsewhere; source: `secretKeyRef`, `fieldRef`, ... or ""."""

    name: str
    value: str | None
    source: str
    source_field: str
    """The fieldPath of a fieldRef, or the name of a Secret or ConfigMap."""
    path: Path


class ProbeKind(Enum):
    """The three probes by their field names."""

    STARTUP = "startupProbe"
    READINESS = "readinessProbe"
    LIVENESS = "livenessProbe"


_PROBES = tuple((kind, kind.value) for kind in ProbeKind)


class Probe(NamedTuple):
    """One probe with Kubernetes' defaults filled in; times in seconds."""

    kind: ProbeKind
    method: str
    """`httpGet`, `tcpSocket`, `grpc`, `exec`, or "" when none is given."""
    port: int | str | None
    initial_delay_s: int
    period_s: int
    timeout_s: int
    failures: int
    path: Path

    @property
    def budget_s(self) -> int:
        """Seconds from the container's start until this probe gives up."""
        return self.initial_delay_s + self.period_s * self.failures


class Mount(NamedTuple):
    """Where a volume appears in the container."""

    volume: str
    mount_path: str
    read_only: bool
    sub_path: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Container:
    """One container of a pod template. path: from the object's root."""

    name: str
    image: Image
    command: tuple[str, ...] | None
    args: tuple[str, ...]
    env: Mapping[str, EnvVar]
    has_env_from: bool
    limits: Mapping[str, str]
    requests: Mapping[str, str]
    mounts: tuple[Mount, ...]
    ports: Mapping[str, int]
    """Declared container ports; unnamed ones under their number."""
    probes: Mapping[ProbeKind, Probe]
    capabilities: frozenset[str]
    drops_capabilities: bool
    """True if it gives up all capabilities on purpose."""
    is_privileged: bool
    is_init: bool
    path: Path
    data: dict[str, object]
    words: tuple[str, ...]
    """Its whole command line: command, then arguments."""
    gpus: int = 0
    """Whole GPUs the container asks for (0 when it asks for slices only)."""
    has_gpu_slice: bool = False
    """True if it asks for MIG devices or shared GPUs."""
    rdma_resources: tuple[str, ...] = ()
    """Extended resources that look like an RDMA device plugin's."""

    @property
    def memory_limit_bytes(self) -> int | None:
        """The memory limit; None when absent or unreadable."""
        return parse_quantity(self.limits.get("memory", ""))

    def env_value(self, name: str) -> str | None:
        """Read a variable's literal value; None when unset or from elsewhere."""
        variable = self.env.get(name)
        return variable.value if variable else None

    def mentions(self, text: str) -> bool:
        """True if a word of its command line, a script perhaps, holds this text."""
        return any(text in word for word in self.words)

    def mount_at(self, directory: str) -> Mount | None:
        """Find the mount that serves a directory: the longest one that contains it."""
        wanted = directory.rstrip("/") + "/"
        best: Mount | None = None
        for mount in self.mounts:
            prefix = mount.mount_path.rstrip("/") + "/"
            if wanted.startswith(prefix) and (best is None or len(best.mount_path) < len(prefix)):
                best = mount
        return best


def read_container(data: dict[str, object], path: Path, *, is_init: bool = False) -> Container:
    """Read one entry of `containers`."""
    resources = mapping(data.get("resources"))
    limits, requests = _quantities(resources.get("limits")), _quantities(resources.get("requests"))
    devices = {*limits, *requests} - _NAMELESS
    security = mapping(data.get("securityContext"))
    command = data.get("command")
    program = _words(command) if isinstance(command, list) and command else None
    args = _words(data.get("args"))
    return Container(
        name=text(data.get("name")),
        image=parse_image(text(data.get("image"))),
        command=program,
        args=args,
        words=(*program, *args) if program else args,
        env=_env(data.get("env"), path),
        has_env_from=bool(sequence(data.get("envFrom"))),
        limits=limits,
        requests=requests,
        mounts=tuple(
            Mount(
                volume=text(mount.get("name")),
                mount_path=text(mount.get("mountPath")) or "/",
                read_only=mount.get("readOnly") is True,
                sub_path=text(mount.get("subPath")),
            )
            for _, mount in mappings(data.get("volumeMounts"))
        ),
        ports=_ports(data.get("ports")),
        probes=_probes(data, path),
        capabilities=frozenset(
            text(item).removeprefix("CAP_")
            for item in sequence(dig(security, "capabilities", "add"))
        ),
        drops_capabilities="ALL" in sequence(dig(security, "capabilities", "drop")),
        is_privileged=security.get("privileged") is True,
        is_init=is_init,
        path=path,
        data=data,
        gpus=_gpus(resources) if devices else 0,
        has_gpu_slice=any(map(_MIG.match, devices)),
        rdma_resources=tuple(sorted(filter(_RDMA.search, devices))),
    )


def _gpus(resources: dict[str, object]) -> int:
    limits, requests = mapping(resources.get("limits")), mapping(resources.get("requests"))
    found = 0
    for name in GPU_RESOURCES:
        if name in limits or name in requests:
            found += integer(limits.get(name) or requests.get(name)) or 0
    return found


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(text, value)) if isinstance(value, list) else ()


def _quantities(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(name): text(amount) for name, amount in value.items()}


def _env(value: object, path: Path) -> dict[str, EnvVar]:
    found: dict[str, EnvVar] = {}
    for index, item in mappings(value):
        name, at = text(item.get("name")), (*path, "env", index)
        origin = item.get("valueFrom")
        if not isinstance(origin, dict) or not origin:
            found[name] = EnvVar(name, text(item.get("value")), "", "", at)
            continue
        source = str(next(iter(origin)))
        inner = mapping(origin.get(source))
        value = text(item["value"]) if "value" in item else None
        field = text(inner.get("fieldPath")) or text(inner.get("name"))
        found[name] = EnvVar(name, value, source, field, at)
    return found


def _ports(value: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, item in mappings(value):
        number = integer(item.get("containerPort"))
        if number is not None:
            found[text(item.get("name")) or str(number)] = number
    return found


def _probes(data: dict[str, object], path: Path) -> dict[ProbeKind, Probe]:
    found: dict[ProbeKind, Probe] = {}
    for kind, name in _PROBES:
        probe = data.get(name)
        if not probe or not isinstance(probe, dict):
            continue
        method = next((m for m in ("httpGet", "tcpSocket", "grpc", "exec") if m in probe), "")
        inner = mapping(probe.get(method))
        port = inner.get("port")
        number = integer(port)
        found[kind] = Probe(
            kind=kind,
            method=method,
            port=number if number is not None else (port if isinstance(port, str) else None),
            initial_delay_s=integer(probe.get("initialDelaySeconds")) or 0,
            period_s=integer(probe.get("periodSeconds")) or 10,
            timeout_s=integer(probe.get("timeoutSeconds")) or 1,
            failures=integer(probe.get("failureThreshold")) or 3,
            path=(*path, name),
        )
    return found
