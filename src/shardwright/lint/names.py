"""What a host name in a launch command will resolve to inside the cluster.

Source: Kubernetes, "DNS for Services and Pods": Services as `name[.namespace[.svc[.domain]]]`, pods
of a StatefulSet as `pod.service[.namespace...]` under their governing headless Service.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import Enum

from shardwright.lint.bundle import Bundle
from shardwright.lint.reading import text
from shardwright.lint.services import Service
from shardwright.lint.shell.values import is_known
from shardwright.lint.workload.kinds import Workload

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_ORDINAL = re.compile(r"(.+)-(\d{1,6})")


class Kind(Enum):
    """What a name is."""

    POD = "pod"
    SERVICE = "Service"
    LOOPBACK = "loopback"
    OUTSIDE = "outside"
    """An address or a name of another domain: not ours to judge."""
    UNKNOWN = "unknown"
    """Only the running pod knows it."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a name resolves to. workload: the one whose pods answer, where it is in the bundle."""

    kind: Kind
    workload: Workload | None = None
    service: Service | None = None
    reason: str = ""


def resolve(bundle: Bundle, origin: Workload, name: str) -> Resolution:
    """Resolve a host name as a pod of this workload would."""
    key = (origin.namespace, origin.name, name)
    if key not in bundle.resolved:
        bundle.resolved[key] = _resolve(bundle, origin, name)
    found = bundle.resolved[key]
    return found if isinstance(found, Resolution) else Resolution(kind=Kind.UNKNOWN)


def _resolve(bundle: Bundle, origin: Workload, name: str) -> Resolution:
    lowered = name.lower().rstrip(".")
    if not is_known(name) or "$" in name or not lowered:
        return Resolution(kind=Kind.UNKNOWN)
    if lowered in {"localhost", "0.0.0.0"} or lowered.startswith("127."):  # noqa: S104
        return Resolution(kind=Kind.LOOPBACK)
    if _is_address(lowered):
        return Resolution(kind=Kind.OUTSIDE)
    labels = lowered.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        return Resolution(kind=Kind.UNKNOWN)
    parsed = _inside(labels)
    if parsed is None or _is_of_another_domain(bundle, origin, labels):
        return Resolution(kind=Kind.OUTSIDE)
    for pod, service, namespace in parsed:
        found = _look_up(bundle, origin, pod, service, namespace)
        if found is not None:
            return found
    return Resolution(kind=Kind.MISSING, reason=_explain(bundle, origin, parsed))


def _is_address(name: str) -> bool:
    if not name[0].isdigit() and ":" not in name:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


_Parsed = tuple[str, str, str]
"""(pod or "", service, namespace or "" for the pod's own)."""


def _inside(labels: list[str]) -> list[_Parsed] | None:
    """List the readings of a name as a cluster name; None if it is one of another domain."""
    if "svc" in labels[1:]:
        head = labels[: labels.index("svc", 1)]
        if len(head) == 2:
            return [("", head[0], head[1])]
        return [(head[0], head[1], head[2])] if len(head) == 3 else None
    if len(labels) == 1:
        return [("", labels[0], "")]
    if len(labels) == 2:
        return [(labels[0], labels[1], ""), ("", labels[0], labels[1])]
    return [(labels[0], labels[1], labels[2])] if len(labels) == 3 else None


_DOMAINS = frozenset({"com", "net", "org", "io", "dev", "ai", "local", "internal", "lan", "corp"})


def _is_of_another_domain(bundle: Bundle, origin: Workload, labels: list[str]) -> bool:
    """True for `ray.example.com`; `pod.service.namespace` needs a namespace we have seen."""
    if "svc" in labels or len(labels) == 1:
        return False
    if len(labels) == 3 and labels[2] != origin.namespace:
        return labels[2] not in bundle.workloads_by_namespace
    return labels[-1] in _DOMAINS


def _look_up(
    bundle: Bundle, origin: Workload, pod: str, service: str, namespace: str
) -> Resolution | None:
    for space in _namespaces(origin, namespace):
        found = _pod(bundle, space, pod, service) if pod else _service(bundle, space, service)
        if found is not None:
            return found
    return None


def _namespaces(origin: Workload, namespace: str) -> tuple[str, ...]:
    """List where to look: objects without a namespace may be applied into any."""
    own = origin.namespace
    if not namespace:
        return (own, "") if own else ("",)
    return (namespace, "") if not own or own == namespace else (namespace,)


def _service(bundle: Bundle, namespace: str, name: str) -> Resolution | None:
    service = bundle.services_by_name.get((namespace, name))
    if service is not None:
        behind = bundle.workloads_behind(service)
        return Resolution(
            kind=Kind.SERVICE, workload=behind[0] if behind else None, service=service
        )
    for suffix in ("-head-svc", "-serve-svc"):
        if name.endswith(suffix):
            owners = bundle.workloads_by_name.get((namespace, name.removesuffix(suffix)), [])
            for owner in owners:
                if owner.kind.startswith("Ray"):
                    return Resolution(kind=Kind.SERVICE, workload=owner)
    for owner in bundle.workloads_by_name.get((namespace, name), []):
        if owner.kind == "LeaderWorkerSet":
            return Resolution(kind=Kind.SERVICE, workload=owner)
    return None


def _pod(bundle: Bundle, namespace: str, pod: str, service: str) -> Resolution | None:
    match = _ORDINAL.fullmatch(pod)
    if match:
        for owner in bundle.workloads_by_name.get((namespace, match[1]), []):
            governing = text(owner.spec.get("serviceName"))
            is_there = int(match[2]) < max(1, owner.replicas)
            if _is_indexed_job(owner, service) and is_there:
                return Resolution(kind=Kind.POD, workload=owner)
            if owner.kind == "StatefulSet" and governing == service and is_there:
                its_service = bundle.services_by_name.get((namespace, service))
                return Resolution(kind=Kind.POD, workload=owner, service=its_service)
        for owner in bundle.workloads_by_name.get((namespace, service), []):
            if owner.kind == "LeaderWorkerSet" and pod.startswith(f"{owner.name}-"):
                return Resolution(kind=Kind.POD, workload=owner)
    named = bundle.workloads_by_hostname.get((namespace, pod, service))
    return Resolution(kind=Kind.POD, workload=named) if named is not None else None


def _is_indexed_job(owner: Workload, service: str) -> bool:
    """True for a Job whose pods are named by index under their subdomain."""
    is_indexed = text(owner.spec.get("completionMode")) == "Indexed"
    subdomain = text(owner.pods[0].data.get("subdomain"))
    return owner.kind == "Job" and is_indexed and subdomain == service


def _explain(bundle: Bundle, origin: Workload, parsed: list[_Parsed]) -> str:
    """Say what is there instead of the name."""
    pod, service, _ = parsed[0]
    if pod and (match := _ORDINAL.fullmatch(pod)):
        for workload in bundle.workloads:
            if workload.kind == "StatefulSet" and workload.name == match[1]:
                governing = text(workload.spec.get("serviceName"))
                if governing != service:
                    return (
                        f"StatefulSet/{workload.name} has serviceName {governing or '(none)'},"
                        f" not {service}"
                    )
                return f"StatefulSet/{workload.name} has {workload.replicas} pods"
            if workload.kind == "Deployment" and workload.name == match[1]:
                return "pods of a Deployment have no stable names"
    sets = sorted({w.name for w in bundle.workloads if w.kind == "StatefulSet"} - {origin.name})
    if pod and sets:
        return f"the pods here are named {', '.join(f'{name}-0' for name in sets[:4])}"
    names = sorted({s.object.name for s in bundle.services})
    return f"the Services here are {', '.join(names[:4])}" if names else "no Service is given"
