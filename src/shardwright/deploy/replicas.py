"""Handing the number of replicas over to a scaler without a moment of one replica.

A manifest that something scales leaves `replicas` out. The first time it does, the field is still
ours alone, and a field that its only owner leaves out is removed: the server's default, 1, would
take its place, and all groups but one would end. So it is applied once more as it is; as soon as
the scaler changes it, it is the scaler's. Source: Kubernetes, "Server-Side Apply" (transferring
ownership). Pure; called by the dry run and the rollout.
"""

from __future__ import annotations

from shardwright.model.cluster import FIELD_MANAGER, Object

_SCALED = ("Deployment", "LeaderWorkerSet")


def keep_replicas(live: Object | None, obj: Object) -> Object:
    """Add the live number of replicas to an object that leaves it out, if the field is ours."""
    if live is None or obj["kind"] not in _SCALED or "replicas" in obj["spec"]:
        return obj
    if not any(_is_ours(each) for each in live["metadata"].get("managedFields") or ()):
        return obj
    return {**obj, "spec": {**obj["spec"], "replicas": live["spec"]["replicas"]}}


def _is_ours(entry: Object) -> bool:
    fields = entry.get("fieldsV1", {}).get("f:spec", {})
    return entry.get("manager") == FIELD_MANAGER and "f:replicas" in fields
