"""An endpoint whose pods run a shell script: built as ours are, up or broken within seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shardwright.model.cluster import Object

IMAGE = "testbed.local/shell:1"
NAME = "small"
LABELS = {
    "app.kubernetes.io/managed-by": "shardwright",
    "app.kubernetes.io/instance": NAME,
    "app.kubernetes.io/component": "serving",
}
GOOD = "touch /tmp/ready; sleep 1000"


def endpoint(
    namespace: str, command: str = GOOD, *, num_pods: int = 1,
    container: Mapping[str, Any] | None = None, storage_class: str | None = None,
) -> tuple[Object, ...]:  # fmt: skip
    """Claim, headless Service, StatefulSet: Parallel, OnDelete. container: what differs in it."""
    main = {
        "name": "main",
        "image": IMAGE,
        "command": ["sh", "-c", command],
        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1},
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    } | dict(container or {})
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": f"{NAME}-models"}}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [main], "volumes": [volume]}
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class:
        claim["storageClassName"] = storage_class
    service = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "ports": [{"name": "http", "port": 80}],
        "selector": LABELS,
    }
    pods = {
        "replicas": num_pods,
        "serviceName": NAME,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": pod},
    }

    def obj(api_version: str, kind: str, name: str, spec: Any) -> Object:
        meta = {"name": name, "namespace": namespace, "labels": LABELS}
        return {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec}

    return (
        obj("v1", "PersistentVolumeClaim", f"{NAME}-models", claim),
        obj("v1", "Service", NAME, service),
        obj("apps/v1", "StatefulSet", NAME, pods),
    )
