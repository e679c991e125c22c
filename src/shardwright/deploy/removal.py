"""Deleting what an endpoint owns, by its record; rebuilt from labels if the record is lost."""

from __future__ import annotations

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
from shardwright.model.cluster import Cluster, ObjectRef


def find_inventory(cluster: Cluster, name: str, namespace: str) -> Inventory | None:
    """Return what an endpoint owns: its record, or else every object with its labels."""
    found = cluster.get(inventory_ref(name, namespace))
    if found is not None:
        return from_object(found)
    labels = {**MANAGED, INSTANCE: name}
    owned = [
        ref
        for api_version, kind in OWNED_KINDS
        if cluster.serves(api_version, kind)
        for ref in references(cluster.list(api_version, kind, namespace=namespace, labels=labels))
    ]
    if not owned:
        return None
    return Inventory(name=name, namespace=namespace, owned=tuple(owned), pending=True)


def remove(cluster: Cluster, inventory: Inventory, *, purge: bool) -> tuple[ObjectRef, ...]:
    """Delete what an endpoint owns, last applied first, and its record last of all.

    Claims stay unless purge: weights are costly to fetch again. Returns what was deleted.
    """
    gone = [
        ref
        for ref in reversed(inventory.owned)
        if (purge or not is_kept(ref)) and cluster.delete(ref)
    ]
    own = inventory_ref(inventory.name, inventory.namespace)
    if cluster.delete(own):
        gone.append(own)
    return tuple(gone)
