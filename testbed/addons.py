"""What runs inside the cluster: DNS, storage, GPUs, and the real controllers of the field.

The controllers' manifests are upstream's own, read from the Go module that was compiled; only the
image, the replica count and the processor requests are changed.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from testbed import components
from testbed.kubectl import apply, apply_text, get, is_condition, kubectl
from testbed.layout import DNS_ADDRESS, Machine, state_dir
from testbed.shell import TestbedError, run, wait_for
from testbed.stock import COREDNS_IMAGE, KUBERAY_IMAGE, LWS_IMAGE

NUM_VOLUMES = 200
"""Nothing empties a released volume for the next claim, so there are enough for every test."""
VOLUME_SIZE = "100Ti"
STORAGE_CLASS = "testbed-shared"

_COREFILE = """.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa {
        ttl 5
    }
    cache 5
    loadbalance
}
"""


def coredns() -> list[dict[str, Any]]:
    """Return the cluster's DNS. It answers for the cluster alone: there is no outside."""
    labels = {"k8s-app": "kube-dns"}
    meta = {"name": "coredns", "namespace": "kube-system"}
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "containers": [
            {
                "name": "coredns",
                "image": COREDNS_IMAGE,
                "args": ["-conf", "/etc/coredns/Corefile"],
                "securityContext": {"runAsUser": 0},
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": 8181},
                    "periodSeconds": 1,
                },
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "testbed:coredns"},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["endpoints", "services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "testbed:coredns"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "testbed:coredns",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {"Corefile": _COREFILE},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {
                "clusterIP": DNS_ADDRESS,
                "selector": labels,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        },
    ]


def storage() -> list[dict[str, Any]]:
    """Return a default class and volumes that every node sees, in every access mode."""
    directory = state_dir() / "volumes"
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "Immediate",
        }
    ]
    for index in range(1, NUM_VOLUMES + 1):
        path = directory / f"volume-{index}"
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)  # any pod of the bed may write, whatever user it runs as
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"testbed-{index}"},
                "spec": {
                    "capacity": {"storage": VOLUME_SIZE},
                    "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": STORAGE_CLASS,
                    "hostPath": {"path": str(path)},
                },
            }
        )
    return objects


def give_gpus(node: Machine, count: int) -> None:
    """Let a node say that it has GPUs; pods then count against them, and get no device."""
    patch = {"status": {"capacity": {"nvidia.com/gpu": str(count)}}}
    kubectl(
        "patch", "node", node.name, "--subresource=status", "--type=merge", "-p", json.dumps(patch)
    )
    kubectl(
        *("label", "node", node.name, "--overwrite", "nvidia.com/gpu.present=true"),
        *(f"nvidia.com/gpu.count={count}", "nvidia.com/gpu.product=NVIDIA-H200"),
        "nvidia.com/gpu.memory=143771",
    )


def _upstream(name: str, component: components.Component, edits: dict[str, Any]) -> str:
    """Return upstream's manifests with our edits, by kustomize as upstream means it."""
    source = components.module_source(component) / "config" / "default"
    overlay = state_dir() / "kustomize" / name
    overlay.mkdir(parents=True, exist_ok=True)
    # kustomize takes a base only by a relative path
    relative = os.path.relpath(source, overlay.resolve())
    (overlay / "kustomization.yaml").write_text(json.dumps({"resources": [relative], **edits}))
    return kustomized(overlay)


def _small(deployment: str) -> dict[str, Any]:
    """Return a patch that lets a controller run beside engines on two processors."""
    patch = [
        {"op": "remove", "path": "/spec/template/spec/containers/0/resources"},
        {
            "op": "add",
            "path": "/spec/template/spec/containers/0/imagePullPolicy",
            "value": "IfNotPresent",
        },
    ]
    return {"target": {"kind": "Deployment", "name": deployment}, "patch": json.dumps(patch)}


def lws() -> str:
    """Return the LeaderWorkerSet controller with its CRD and webhooks."""
    return _upstream(
        "lws",
        components.LWS,
        {
            "images": [
                {
                    "name": "us-central1-docker.pkg.dev/k8s-staging-images/lws/lws",
                    "newName": LWS_IMAGE.rsplit(":", 1)[0],
                    "newTag": LWS_IMAGE.rsplit(":", 1)[1],
                }
            ],
            "replicas": [{"name": "lws-controller-manager", "count": 1}],
            "patches": [_small("lws-controller-manager")],
        },
    )


def kuberay() -> str:
    """Return the KubeRay operator with its CRDs, in a namespace of its own."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "kuberay-system"},
    }
    overlay = state_dir() / "kustomize" / "kuberay"
    overlay.mkdir(parents=True, exist_ok=True)
    (overlay / "namespace.yaml").write_text(json.dumps(namespace))
    return (
        json.dumps(namespace)
        + "\n---\n"
        + _upstream(
            "kuberay",
            components.KUBERAY,
            {
                "namespace": "kuberay-system",
                "images": [
                    {
                        "name": "quay.io/kuberay/operator",
                        "newName": KUBERAY_IMAGE.rsplit(":", 1)[0],
                        "newTag": KUBERAY_IMAGE.rsplit(":", 1)[1],
                    }
                ],
                "patches": [_small("kuberay-operator")],
            },
        )
    )


def kustomized(folder: Path) -> str:
    """Return what kustomize makes of a folder."""
    return run(components.directory(components.KUBERNETES) / "kubectl", "kustomize", folder)


def install(addons: frozenset[str]) -> None:
    """Apply DNS, storage and the chosen controllers, without waiting."""
    apply(*coredns(), *storage())
    if "lws" in addons:
        apply_text(lws())
    if "kuberay" in addons:
        apply_text(kuberay())


def deployments(addons: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Return namespace and name of every Deployment that must be available."""
    wanted = [("kube-system", "coredns")]
    if "lws" in addons:
        wanted.append(("lws-system", "lws-controller-manager"))
    if "kuberay" in addons:
        wanted.append(("kuberay-system", "kuberay-operator"))
    return tuple(wanted)


def wait_available(addons: frozenset[str], *, timeout_s: float) -> None:
    """Wait until every controller is available and LWS's webhooks answer."""
    for namespace, name in deployments(addons):
        wait_for(
            f"deployment {namespace}/{name} available",
            partial(_is_available, namespace, name),
            timeout_s=timeout_s,
        )
    if "lws" in addons:
        wait_for("the LWS webhooks", _lws_answers, timeout_s=timeout_s)


def _is_available(namespace: str, name: str) -> bool:
    return is_condition(get("deployment", "-n", namespace, name), "Available")


def _lws_answers() -> bool:
    probe = Path(__file__).with_name("probe-lws.json").read_text()
    try:
        kubectl("create", "--dry-run=server", "-f", "-", stdin=probe)
    except TestbedError:
        return False
    return True
