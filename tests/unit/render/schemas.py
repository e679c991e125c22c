"""Strict schema checks of rendered objects: Kubernetes itself, and CRDs kept as data."""

import functools
import json
from pathlib import Path

import kubernetes_validate

OLDEST, NEWEST = "1.28", "1.37"
CRDS = Path(__file__).parents[2] / "data" / "crds"
POD_TEMPLATES = {
    "LeaderWorkerSet": ("leaderTemplate", "workerTemplate"),
    "RayCluster": ("template",),
    "PodMonitor": (),
    "PrometheusRule": (),
    "ScaledObject": (),
    "HTTPRoute": (),
}


def check(each, version):
    """Raise if an object breaks the strict schema of a Kubernetes version, or of its CRD."""
    if each["kind"] == "Kustomization":
        return
    if each["apiVersion"].startswith("scheduling.volcano.sh/"):
        crd(each["kind"]).validate(each)
        return
    if each["kind"] not in POD_TEMPLATES:
        kubernetes_validate.validate(each, version, strict=True)
        return
    crd(each["kind"]).validate(each)
    for template in pod_templates(each, POD_TEMPLATES[each["kind"]]):
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        kubernetes_validate.validate(pod, version, strict=True)


def pod_templates(tree, names):
    """Find every pod template in a custom object."""
    if isinstance(tree, list):
        return [found for item in tree for found in pod_templates(item, names)]
    if not isinstance(tree, dict):
        return []
    found = [tree[name] for name in names if name in tree]
    return found + [t for k, v in tree.items() if k not in names for t in pod_templates(v, names)]


@functools.cache
def crd(kind):
    """Load the schema of a custom resource; which release it is from is in the file."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads((CRDS / f"{kind.lower()}.json").read_text())["schema"])
