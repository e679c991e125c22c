"""Whether the server is one that can do this, and whether we are allowed to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from shardwright.deploy.checks.scene import Scene, error, warning
from shardwright.deploy.watching import WATCHED
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding
from shardwright.model.version import parse_version
from shardwright.model.volumes import VolumeKind

OLDEST = "1.28"
"""Oldest Kubernetes our objects work on: pod-index labels and numbering from 1 (KEP-4017, KEP-3335,
both on by default from 1.28)."""
IMAGE_VOLUMES = "1.35"
"""First Kubernetes that mounts images as volumes by default (KEP-4639; off in 1.33 and 1.34)."""
CHANGES = ("get", "create", "patch", "delete")
WATCHING = (("list", "v1", "Pod", ""), ("get", "v1", "Pod", ""))
# a POST through a proxy is a `create`: k8s.io/apiserver, endpoints/request/requestinfo.go
USEFUL = (
    ("get", "v1", "Pod", "log", "progress and evidence without logs"),
    ("list", "v1", "Event", "", "evidence without events"),
    ("get", "v1", "Service", "proxy", "the endpoint cannot be asked through its Service"),
    (
        "create",
        "v1",
        "Service",
        "proxy",
        "no completion is asked of the endpoint, its health alone",
    ),
    ("get", "v1", "Pod", "proxy", "a new group cannot be asked before traffic moves"),
    ("create", "v1", "Pod", "proxy", "a new group is asked for its health alone"),
)
AT_ONCE = 8


def namespace(scene: Scene) -> Iterator[Finding]:
    """Look for the namespace."""
    name = scene.plan.namespace
    ref = scene.ref("v1", "Namespace", name)
    try:
        found = scene.cluster.get(ref)
    except ShardwrightError as caught:
        if caught.code != "cluster-forbidden":
            raise
        return  # many tenants may not read namespaces; applying will tell
    if found is None:
        yield error(
            "namespace-missing",
            f"there is no namespace {name}",
            "metadata.namespace of the spec names it; left out, it is `default`",
            f"kubectl create namespace {name}",
        )
    elif found.get("status", {}).get("phase") == "Terminating":
        yield error(
            "namespace-ends",
            f"namespace {name} is being deleted",
            "nothing can be created in it any more",
            "wait until it is gone and create it again, or use another namespace",
        )


_WITHOUT = {
    "HTTPRoute": "leave spec.access.gateway out, which makes the route an Ingress",
    "PodGroup": "leave spec.scheduling.gang out",
    "PodMonitor": "leave spec.monitoring out",
    "ScaledObject": "set spec.autoscaling.by to hpa",
    "PrometheusRule": "leave spec.monitoring.alerts out",
}
"""How to do without a kind that not every cluster has."""


def versions(scene: Scene) -> Iterator[Finding]:
    """Look at the version, and at the kinds that only an installed controller brings."""
    version = scene.cluster.server_version()
    if _is_older(version, OLDEST):
        yield error(
            "kubernetes-too-old",
            f"the cluster runs Kubernetes {version}; {OLDEST} or newer is needed",
            "pods of a group are numbered by labels that older versions do not set",
            "upgrade the cluster, or use another --context",
        )
    if _is_older(version, IMAGE_VOLUMES) and _mounts_image(scene):
        yield error(
            "kubernetes-too-old",
            f"the cluster runs Kubernetes {version}; volumes of images need {IMAGE_VOLUMES}",
            "older servers drop the field and refuse a volume without a source",
            "leave spec.storage.image out, which makes a claim and downloads into it",
        )
    for api_version, kind in sorted({(o["apiVersion"], o["kind"]) for o in scene.objects}):
        if not scene.cluster.serves(api_version, kind):
            yield error(
                "kind-not-served",
                f"the cluster does not know {kind} ({api_version})",
                "its controller is not installed, or is of another version",
                f"install it, or {_WITHOUT.get(kind, 'set spec.launch to statefulset')}",
            )


def _mounts_image(scene: Scene) -> bool:
    mounts = (mount for member in scene.plan.group.members for mount in member.mounts)
    return any(mount.kind is VolumeKind.IMAGE for mount in mounts)


def _is_older(version: str, than: str) -> bool:
    found, oldest = parse_version(version), parse_version(than)
    return found is not None and oldest is not None and found < oldest


def rights(scene: Scene) -> Iterator[Finding]:
    """Ask the server what we may do: what is needed is an error, what is useful a warning."""
    kinds = {("v1", "ConfigMap"), *((o["apiVersion"], o["kind"]) for o in scene.objects)}
    needed = [(verb, *kind, "") for kind in sorted(kinds) for verb in CHANGES]
    needed += [*WATCHING, *(("list", *kind, "") for kind in WATCHED if kind in kinds)]
    useful = [(verb, api, kind, sub) for verb, api, kind, sub, _ in USEFUL]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        allowed = list(pool.map(lambda asked: _may(scene, *asked), [*needed, *useful]))
    denied: dict[str, list[str]] = {}
    for (verb, _, kind, _), may in zip(needed, allowed, strict=False):
        if not may:
            denied.setdefault(kind, []).append(verb)
    for kind, verbs in denied.items():
        yield error(
            "not-allowed",
            f"you may not {', '.join(verbs)} {kind} in {scene.plan.namespace}",
            "the API server was asked (SelfSubjectAccessReview)",
            "ask for a Role with these verbs on this kind, or use another --context",
        )
    for (verb, _, kind, sub, without), may in zip(USEFUL, allowed[len(needed) :], strict=True):
        if not may:
            thing = f"{kind}/{sub}" if sub else kind
            yield warning(
                "not-allowed-to-look",
                f"you may not {verb} {thing} in {scene.plan.namespace}",
                without,
                f"ask for a Role with {verb} on it",
            )


def _may(scene: Scene, verb: str, api_version: str, kind: str, subresource: str) -> bool:
    return scene.cluster.may(verb, scene.ref(api_version, kind), subresource)
