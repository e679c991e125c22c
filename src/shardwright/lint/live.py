"""Live objects for lint: what a namespace runs already, beside or instead of the files."""

from __future__ import annotations

from dataclasses import replace

from shardwright.lint.objects import KubeObject, from_values
from shardwright.lint.reading import dig, sequence
from shardwright.model.cluster import Cluster

KINDS: tuple[tuple[str, str], ...] = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("ray.io/v1", "RayCluster"),
    ("ray.io/v1", "RayService"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "ConfigMap"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("keda.sh/v1alpha1", "ScaledObject"),
)
"""Kinds that rules read. Secrets are not among them: lint needs no secret's value."""


def live_objects(cluster: Cluster, namespace: str) -> tuple[KubeObject, ...]:
    """Read what a namespace runs; objects that a controller made are its own affair."""
    found: list[dict[str, object]] = []
    for api_version, kind in KINDS:
        if cluster.serves(api_version, kind):
            found += cluster.list(api_version, kind, namespace=namespace)
    return from_values(
        [obj for obj in found if not sequence(dig(obj, "metadata", "ownerReferences"))]
    )


def beside_files(
    written: tuple[KubeObject, ...], live: tuple[KubeObject, ...], namespace: str
) -> tuple[tuple[KubeObject, ...], tuple[KubeObject, ...]]:
    """Place files into a namespace and leave out the live objects they would replace."""
    placed = tuple(obj if obj.namespace else replace(obj, namespace=namespace) for obj in written)
    names = {(obj.kind, obj.namespace, obj.name) for obj in placed}
    return placed, tuple(o for o in live if (o.kind, o.namespace, o.name) not in names)
