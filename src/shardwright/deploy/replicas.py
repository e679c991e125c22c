"""Handing the number of replicas over to a scaler and back, and no replica lost on the way.

A manifest that something scales leaves `replicas` out. The first time it does, the field is still
ours alone, and a field that its only owner leaves out is removed: the server's default, 1, would
take its place, and all groups but one would end. So it is applied once more as it is; as soon as
the scaler changes it, it is the scaler's. Back again it stays the scaler's, though that is gone,
until we take it back: that field of that workload, and no other. Source: Kubernetes, "Server-Side
Apply" (transferring ownership). Called by the dry run and the rollout.
"""

from __future__ import annotations

from collections.abc import Iterable

from shardwright.deploy.inventory import INSTANCE, references
from shardwright.deploy.size import SCALERS
from shardwright.model.cluster import FIELD_MANAGER, Cluster, Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError

_SCALED = ("Deployment", "LeaderWorkerSet")
_TRIES = 5


def freed(owned: Iterable[ObjectRef], objects: tuple[Object, ...]) -> dict[ObjectRef, ObjectRef]:
    """Pair each workload whose number of replicas becomes ours again with its scaler, which goes.

    owned: the endpoint's on record. A scaler has the name of the group that it scales.
    """
    gone = {ref.name: ref for ref in set(owned) - set(references(objects)) if ref.kind in SCALERS}
    return {
        reference(each): gone[group]
        for each in objects
        if each["kind"] in _SCALED and "replicas" in each["spec"]
        if (group := each["metadata"].get("labels", {}).get(INSTANCE)) in gone
    }


def try_out(cluster: Cluster, live: Object | None, obj: Object, *, is_freed: bool) -> Object:
    """Ask the server what applying would make of an object. is_freed: its scaler goes.

    The scaler's number does not stand in the way, since it is taken first; anybody else's does.
    """
    if not is_freed or live is None or not all(map(_is_scalers, _others_that_count(live))):
        return cluster.apply(keep_replicas(live, obj), dry_run=True)
    made = cluster.apply(_with_replicas(obj, live), dry_run=True)
    return _with_replicas(made, obj)


def take_back(cluster: Cluster, ref: ObjectRef) -> None:
    """Strike the scaler that went off the list of those whose number of replicas it is.

    Not by applying with force, which would take any other field too, and takes none whose value is
    the same: the next number would meet the conflict. Source: client-go, util/csaupgrade, which
    moves fields to another manager in this way.
    """
    for tries_left in reversed(range(_TRIES)):
        live = cluster.get(ref)
        owners = live["metadata"].get("managedFields", []) if live is not None else []
        others = [each for each in owners if not _is_scalers(each)]
        if live is None or others == owners:
            return
        try:
            cluster.set_owners(live, others)
        except ShardwrightError as error:  # its controller has written meanwhile
            if error.code != "field-conflict" or not tries_left:
                raise


def keep_replicas(live: Object | None, obj: Object) -> Object:
    """Add the live number of replicas to an object that leaves it out, if the field is ours."""
    if live is None or obj["kind"] not in _SCALED or "replicas" in obj["spec"]:
        return obj
    is_ours = any(map(_is_ours, live["metadata"].get("managedFields", [])))
    return _with_replicas(obj, live) if is_ours else obj


def _with_replicas(obj: Object, counted: Object) -> Object:
    return {**obj, "spec": {**obj["spec"], "replicas": counted["spec"]["replicas"]}}


def _others_that_count(live: Object) -> list[Object]:
    owners = filter(_has_replicas, live["metadata"].get("managedFields", []))
    return [each for each in owners if not _is_ours(each)]


def _is_ours(entry: Object) -> bool:
    return entry.get("manager") == FIELD_MANAGER and _has_replicas(entry)


def _is_scalers(entry: Object) -> bool:
    """Scalers count by the scale subresource, which has no other field to be set."""
    return entry.get("subresource") == "scale" and _has_replicas(entry)


def _has_replicas(entry: Object) -> bool:
    return "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
