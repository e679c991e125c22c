"""What stands around pods: their nodes, what their Services reach, the engine's metrics.

Written as `kubectl describe` writes them, so that the same knowledge reads a live cluster and what
an operator pastes. Called by evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from shardwright.deploy.reading import Reading
from shardwright.model.cluster import Object, ObjectRef

MAX_NODES: Final = 50
"""Nodes told of; of a large cluster those of the pods come first."""
_ENGINE_SERIES: Final = ("vllm:", "vllm_", "sglang:", "sglang_", "nv_", "trtllm_")
_PORTS: Final = ("metrics", "http")
_DCGM: Final = {"app": "nvidia-dcgm-exporter"}
"""Label of the exporter's pods as the GPU operator and the exporter's own chart set it."""
_DCGM_PORT: Final = "9400"
_DCGM_SERIES: Final = (
    "DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_ECC_", "DCGM_FI_DEV_ROW_REMAP_",
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_FB_",
    "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_TEMP",
)  # fmt: skip


def nodes(reading: Reading, pods: Iterable[Object]) -> str:
    """Describe the nodes of the pods, and where a pod has none, those its selector would allow."""
    pods = tuple(pods)
    found: dict[str, Object] = {}
    for name in sorted({str(p["spec"]["nodeName"]) for p in pods if p["spec"].get("nodeName")}):
        node = reading.get(ObjectRef(api_version="v1", kind="Node", name=name))
        if node is not None:
            found[name] = node
    selectors = {
        tuple(sorted(pod["spec"].get("nodeSelector", {}).items()))
        for pod in pods
        if not pod["spec"].get("nodeName")
    }
    for selector in sorted(selectors):
        for node in reading.list("v1", "Node", labels=dict(selector)):
            found.setdefault(node["metadata"]["name"], node)
    shown = list(found.values())[:MAX_NODES]
    left = f"({len(found) - MAX_NODES} more nodes)\n" if len(found) > MAX_NODES else ""
    return "".join("\n".join(_node(each)) + "\n\n" for each in shown) + left


def _node(node: Object) -> Iterator[str]:
    meta, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    yield f"Name:               {meta['name']}"
    labels = meta.get("labels", {})
    yield "Roles:              node"
    for key in sorted(k for k in labels if "gpu" in k):
        yield f"Labels:             {key}={labels[key]}"
    for taint in spec.get("taints", []):
        value = f"={taint['value']}" if taint.get("value") else ""
        yield f"Taints:             {taint['key']}{value}:{taint['effect']}"
    yield f"Unschedulable:      {str(bool(spec.get('unschedulable'))).lower()}"
    yield "Conditions:"
    yield f"  {'Type':16} {'Status':8} {'LastTransitionTime':21} {'Reason':28} Message"
    for each in status.get("conditions", []):
        when, why = each.get("lastTransitionTime") or "-", each.get("reason") or "-"
        yield f"  {each['type']:16} {each['status']:8} {when:21} {why:28} {each.get('message', '')}"
    for title in ("Capacity", "Allocatable"):
        yield f"{title}:"
        yield from _amounts(status.get(title.lower(), {}))


def _amounts(amounts: Mapping[str, object]) -> Iterator[str]:
    """Show processors, memory and whatever device plugins offer."""
    for key in sorted(k for k in amounts if k in ("cpu", "memory", "pods") or "/" in k):
        yield f"  {key + ':':<28} {amounts[key]}"


def services(reading: Reading, namespace: str, names: Iterable[str]) -> str:
    """Describe what each Service reaches: its EndpointSlices."""
    out: list[str] = []
    for name in sorted(names):
        labels = {"kubernetes.io/service-name": name}
        for each in reading.list(
            "discovery.k8s.io/v1", "EndpointSlice", namespace=namespace, labels=labels
        ):
            out += [*_slice(each, name), ""]
    return "\n".join(out)


def _slice(obj: Object, service: str) -> Iterator[str]:
    yield f"Name:         {obj['metadata']['name']}"
    yield f"Labels:       kubernetes.io/service-name={service}"
    ports = ", ".join(f"{p.get('name') or '-'}={p.get('port')}" for p in obj.get("ports") or ())
    yield f"Ports:        {ports or '<unset>'}"
    endpoints = obj.get("endpoints") or ()
    yield "Endpoints:" if endpoints else "Endpoints:    <unset>"
    for each in endpoints:
        yield f"  - Addresses:  {', '.join(each.get('addresses', []))}"
        ready = each.get("conditions", {}).get("ready")
        yield f"    Ready:      {'true' if ready is None else str(ready).lower()}"
        yield f"    TargetRef:  Pod/{each.get('targetRef', {}).get('name', '?')}"


def metrics(reading: Reading, pods: Iterable[Object]) -> dict[str, str]:
    """Ask each running pod that serves HTTP for the engine's series, histogram buckets left out."""
    found = {}
    for pod in pods:
        port = _port(pod)
        if port is None or pod.get("status", {}).get("phase") != "Running":
            continue
        page = reading.page(pod, port, "/metrics")
        lines = [line for line in page.splitlines() if _is_telling(line)]
        if lines:
            found[f"{pod['metadata']['name']}/metrics.txt"] = "\n".join(lines) + "\n"
    return found


def telemetry(reading: Reading, pods: Iterable[Object]) -> dict[str, str]:
    """Ask DCGM's exporter, where there is one, how the GPUs of the pods' nodes are."""
    on = {str(pod["spec"]["nodeName"]) for pod in pods if pod["spec"].get("nodeName")}
    found = {}
    for exporter in reading.list("v1", "Pod", labels=_DCGM, what="pods of the DCGM exporter"):
        node = str(exporter["spec"].get("nodeName"))
        if node in on:
            page = reading.page(exporter, _DCGM_PORT, "/metrics")
            lines = [line for line in page.splitlines() if line.startswith(_DCGM_SERIES)]
            if lines:
                found[f"{node}/dcgm-metrics.txt"] = "\n".join(lines) + "\n"
    return found


def _port(pod: Object) -> str | None:
    ports = {
        port.get("name"): str(port["containerPort"])
        for container in pod["spec"].get("containers", [])
        for port in container.get("ports", [])
    }
    return next((ports[name] for name in _PORTS if name in ports), None)


def _is_telling(line: str) -> bool:
    name = line.removeprefix("# TYPE ")
    return name.startswith(_ENGINE_SERIES) and "_bucket{" not in line
