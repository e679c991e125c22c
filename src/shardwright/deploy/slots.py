"""Two sets of names for one endpoint, so that a new group can start beside the one that serves.

The first set has the endpoint's own names; the second those of an endpoint called NAME-green. Both
share claims, jobs and configurations, and the one Service that clients know: which group gets its
traffic is its selector. What they hold is rendered in `slot_objects`, which `list` and `status` do
without: they read the cluster, and start quickly.
"""

from __future__ import annotations

from enum import Enum

from shardwright.model.cluster import Object


class Slot(Enum):
    """Which set of names a group has."""

    OWN = ""
    GREEN = "green"

    @property
    def other(self) -> Slot:
        """The one that is free while this one serves."""
        return Slot.GREEN if self is Slot.OWN else Slot.OWN


def instance(name: str, slot: Slot) -> str:
    """Name what the pods of a slot are labelled with.

    >>> instance("llama", Slot.OWN), instance("llama", Slot.GREEN)
    ('llama', 'llama-green')
    """
    return f"{name}-{slot.value}" if slot.value else name


def is_service(obj: Object, name: str | None) -> bool:
    """Tell whether an object is the Service of this name."""
    return bool(obj["kind"] == "Service" and obj["metadata"]["name"] == name)
