"""Deleting what an endpoint owns, by its record; rebuilt from labels if the record is lost."""

from __future__ import annotations

from shardwright.deploy.changes import WORKLOADS, is_leaving
from shardwright.deploy.inventory import (
    INSTANCE,
    MANAGED,
    OWNED_KINDS,
    Inventory,
    from_object,
    inventory_ref,
    is_kept,
    references,
)
from shardwright.deploy.slots import Slot, instance
from shardwright.deploy.target import Tell, Told
from shardwright.model.cluster import Cluster, ObjectRef
from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.running import Clock

GONE_S = 600.0
"""Seconds until what is being deleted has gone: a claim stays until the last pod that mounts it
has ended, and a pod's grace is the time its requests may take."""


def read_inventory(cluster: Cluster, name: str, namespace: str) -> Inventory | None:
    """Return the record of an endpoint, or None if there is none."""
    found = cluster.get(inventory_ref(name, namespace))
    return None if found is None else from_object(found)


def find_inventory(cluster: Cluster, name: str, namespace: str) -> Inventory | None:
    """Return what an endpoint owns: its record, or else every object with its labels.

    A record rebuilt from labels has no manifests to go back to. Raises ShardwrightError for the
    name of a group that another endpoint has: what carries it is that endpoint's.
    """
    if (record := read_inventory(cluster, name, namespace)) is not None:
        return record
    base = name.removesuffix(instance("", Slot.GREEN))
    other = read_inventory(cluster, base, namespace) if base != name else None
    if other is not None and name in other.instances:
        raise usage_error(
            "name-of-a-group",
            f"{name} is a group of endpoint {base}, not an endpoint",
            cause=f"an update of {base} started it beside the group before",
            remedy=f"use {base}, or for a new endpoint another name",
        )
    owned = {
        slot: _labelled(cluster, instance(name, slot), namespace)
        for slot in Slot
        if slot is Slot.OWN or cluster.get(inventory_ref(instance(name, slot), namespace)) is None
    }
    everything = tuple(ref for refs in owned.values() for ref in refs)
    if not everything:
        return None
    serving = [s for s, refs in owned.items() if any(ref.kind in WORKLOADS for ref in refs)]
    slot = serving[0] if serving else Slot.OWN
    return Inventory(
        name=name,
        namespace=namespace,
        revision=1 if serving else 0,
        owned=everything,
        pending=True,
        slot=slot.value,
        next_slot=slot.value,
    )


def _labelled(cluster: Cluster, label: str, namespace: str) -> tuple[ObjectRef, ...]:
    found: list[ObjectRef] = []
    for api_version, kind in OWNED_KINDS:
        if not cluster.serves(api_version, kind):
            continue
        labels = {**MANAGED, INSTANCE: label}
        try:
            objects = cluster.list(api_version, kind, namespace=namespace, labels=labels)
        except ShardwrightError as error:
            if error.code != "cluster-forbidden":
                raise
            continue  # preflight says what we may not do
        # what is being deleted may stay for a while, as a claim does until its last pod has ended
        found += references(each for each in objects if not is_leaving(each))
    return tuple(found)


def remove(cluster: Cluster, inventory: Inventory, *, purge: bool) -> tuple[ObjectRef, ...]:
    """Delete what an endpoint owns, last applied first, and its record last of all.

    Claims stay unless purge: weights are costly to fetch again. Returns what was deleted.
    """
    gone = [
        ref
        for ref in reversed(inventory.owned)
        if (purge or not is_kept(ref)) and delete_served(cluster, ref)
    ]
    own = inventory_ref(inventory.name, inventory.namespace)
    if cluster.delete(own):
        gone.append(own)
    return tuple(gone)


def delete_served(cluster: Cluster, ref: ObjectRef) -> bool:
    """Delete an object; one of a kind that the cluster no longer knows went with that kind."""
    return cluster.serves(ref.api_version, ref.kind) and cluster.delete(ref)


def await_gone(cluster: Cluster, clock: Clock, ref: ObjectRef, tell: Tell) -> None:
    """Wait while an object is being deleted, so that another may have its name."""
    end = clock.now() + GONE_S
    is_told = False
    while (live := cluster.get(ref)) is not None and is_leaving(live):
        if not is_told:
            tell(Told(text=f"{ref} is being deleted: waiting up to {GONE_S:.0f} s for it to go"))
            is_told = True
        if clock.now() >= end:
            held = ", ".join(live["metadata"].get("finalizers", []))
            raise ShardwrightError(
                code="object-does-not-go",
                what=f"{ref} is still being deleted after {GONE_S:.0f} s",
                cause=f"it waits for {held}" if held else None,
                remedy="end the pods that use it (a claim goes with the last one that mounts it), "
                "then deploy again",
            )
        clock.sleep(1.0)
