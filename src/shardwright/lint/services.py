"""Services: whom they select, which ports they offer, and what their names resolve to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shardwright.lint.objects import KubeObject, Path
from shardwright.lint.reading import integer, mapping, mappings, string_map, text


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port of a Service. target: a number, or a container port's name."""

    port: int | None
    target: int | str | None
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service:
    """One Service."""

    object: KubeObject
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    is_headless: bool
    publishes_not_ready: bool
    type: str

    @property
    def is_external(self) -> bool:
        """True if it is reachable from outside the cluster."""
        return self.type in {"LoadBalancer", "NodePort"}

    def selects(self, labels: Mapping[str, str]) -> bool:
        """True if pods with these labels are behind it."""
        for name, value in self.selector.items():
            if labels.get(name) != value and not _is_set_by_controller(name):
                return False
        return bool(self.selector)


def _is_set_by_controller(label: str) -> bool:
    """True for labels controllers put on single pods, which no template shows."""
    return label.startswith(
        (
            "statefulset.kubernetes.io/",
            "apps.kubernetes.io/",
            "batch.kubernetes.io/",
            "disaggregatedset.x-k8s.io/",
        )
    )


def read_service(obj: KubeObject) -> Service:
    """Read a Service object."""
    spec = mapping(obj.data.get("spec"))
    ports: list[ServicePort] = []
    for index, item in mappings(spec.get("ports")):
        number = integer(item.get("port"))
        target = item.get("targetPort")
        as_number = integer(target)
        named = target if isinstance(target, str) else None
        if target is None:
            as_number = number
        ports.append(
            ServicePort(
                port=number,
                target=as_number if as_number is not None else named,
                path=("spec", "ports", index),
            )
        )
    return Service(
        object=obj,
        selector=string_map(spec.get("selector")),
        ports=tuple(ports),
        is_headless=text(spec.get("clusterIP")) == "None",
        publishes_not_ready=spec.get("publishNotReadyAddresses") is True,
        type=text(spec.get("type")) or "ClusterIP",
    )
