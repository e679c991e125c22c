"""Pods read Secrets when they start, so a Secret that changed must start them again.

A Secret that was deployed with the pods is filled by the cluster itself: no change of the user's.
Each pod template carries a mark made of the versions of the Secrets its pods read. A Secret changed
since the last deployment changes the mark, and with it the template: the update is then said and
made like any other. Weights stay where they are, since jobs carry no mark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from shardwright.deploy.changes import WORKLOADS
from shardwright.model.cluster import Cluster, Object, ObjectRef
from shardwright.model.errors import ShardwrightError

MARK = "shardwright.dev/secrets"


def marked(cluster: Cluster, objects: tuple[Object, ...]) -> tuple[Object, ...]:
    """Mark the pod templates of all workloads; without a Secret, or without the right, none."""
    ours = frozenset(each["metadata"]["name"] for each in objects if each["kind"] == "Secret")
    return tuple(
        _with_mark(cluster, each, ours) if each["kind"] in WORKLOADS else each for each in objects
    )


def _with_mark(cluster: Cluster, obj: Object, ours: frozenset[str]) -> Object:
    versions = []
    for name in sorted(set(_secret_names(obj["spec"])) - ours):
        ref = ObjectRef(
            api_version="v1", kind="Secret", name=name, namespace=obj["metadata"]["namespace"]
        )
        try:
            secret = cluster.get(ref)
        except ShardwrightError as error:
            if error.code != "cluster-forbidden":
                raise
            continue
        if secret is not None:
            meta = secret["metadata"]
            # the version, not the content: a digest of a weak key can be guessed
            versions.append(f"{name}:{meta.get('uid', '')}:{meta.get('resourceVersion', '')}")
    if not versions:
        return obj
    mark = hashlib.sha256(" ".join(versions).encode()).hexdigest()[:16]
    marked_spec: Object = _annotated(obj["spec"], mark)
    return {**obj, "spec": marked_spec}


def _secret_names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "secretKeyRef":
                yield inner["name"]
            elif key == "secret" and isinstance(inner, dict) and "secretName" in inner:
                yield inner["secretName"]
            else:
                yield from _secret_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secret_names(inner)


def _annotated(value: Any, mark: str) -> Any:
    """Copy a spec, every pod template in it annotated."""
    if isinstance(value, list):
        return [_annotated(inner, mark) for inner in value]
    if not isinstance(value, dict):
        return value
    out = {key: _annotated(inner, mark) for key, inner in value.items()}
    for key, inner in out.items():
        if key.lower().endswith("template") and isinstance(inner, dict) and "spec" in inner:
            meta = inner.get("metadata", {})
            annotations = {**meta.get("annotations", {}), MARK: mark}
            out[key] = {**inner, "metadata": {**meta, "annotations": annotations}}
    return out
