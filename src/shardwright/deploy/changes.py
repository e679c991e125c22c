"""What applying would change: the live object against what the server would make of ours.

Pure. The server's own dry run fills defaults and admission in, so equal means equal. Called by the
rollout (what is created, what restarts) and by `shardwright diff`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from shardwright.model.cluster import Object, ObjectRef, reference

_SERVERS_OWN = frozenset(
    {"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"}
)
WORKLOADS = frozenset({"Deployment", "StatefulSet", "LeaderWorkerSet", "RayCluster"})
"""Kinds whose change of pod template restarts pods."""


class Verb(Enum):
    """What happens to an object."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    """Deleted and made anew: the server does not let it be changed."""
    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field. old or new is None where the field is absent."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChange:
    """What happens to one object, and whether its pods restart."""

    ref: ObjectRef
    verb: Verb
    fields: tuple[FieldChange, ...] = ()

    @property
    def stops_pods(self) -> bool:
        """Tell whether serving pods end: their template changes, or their workload goes."""
        return self.restarts or (self.verb is Verb.REMOVE and self.ref.kind in WORKLOADS)

    @property
    def restarts(self) -> bool:
        """Tell whether serving pods are replaced: their template changes, or their workload is."""
        if self.ref.kind not in WORKLOADS:
            return False
        return self.verb is Verb.REPLACE or (
            self.verb is Verb.CHANGE and any("emplate" in field.path for field in self.fields)
        )


def is_leaving(obj: Object) -> bool:
    """Tell whether an object is being deleted: it stays until whoever needs it has let go."""
    return "deletionTimestamp" in obj["metadata"]


def compare(live: Object | None, wanted: Object) -> ObjectChange:
    """Compare a live object with the server's dry run of ours.

    >>> live = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "uid": "1"},
    ...         "spec": {"ports": [{"port": 8000}]}}
    >>> wanted = {**live, "spec": {"ports": [{"port": 8001}]}}
    >>> [(f.path, f.old, f.new) for f in compare(live, wanted).fields]
    [('spec.ports[0].port', 8000, 8001)]
    """
    ref = reference(wanted)
    if live is None:
        return ObjectChange(ref=ref, verb=Verb.CREATE)
    fields = tuple(_differences("", _ours(live), _ours(wanted)))
    return ObjectChange(ref=ref, verb=Verb.CHANGE if fields else Verb.KEEP, fields=fields)


def _ours(obj: Object) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key not in _SERVERS_OWN}
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": meta}


def _differences(path: str, old: Any, new: Any) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(inner, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{path}[{index}]", before, after)
    elif old != new:
        yield FieldChange(path=path, old=old, new=new)
