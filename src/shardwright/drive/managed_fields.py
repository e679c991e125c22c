"""Whose field is whose, as an API server that applies keeps account of it. Pure.

An object's managedFields name for each manager and operation the fields that it set. Applying a
value other than the live one to a field that somebody else set is a conflict. Source: Kubernetes,
"Server-Side Apply". Lists are one field each here, as they are to the API server in memory, whose
alone this is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from shardwright.model.cluster import FIELD_MANAGER, Object
from shardwright.model.errors import ShardwrightError

_NOBODYS = frozenset(
    {"apiVersion", "kind", "metadata", "name", "namespace", "uid", "managedFields"}
)
"""Keys of an object and of its metadata that nobody owns; what else is in metadata is owned."""


def entry(operation: str, obj: Object) -> Object:
    """Write down that the fields of an object are ours. operation: Apply or Update."""
    owned = {key: value for key, value in obj.items() if key not in _NOBODYS}
    meta = {key: value for key, value in obj["metadata"].items() if key not in _NOBODYS}
    return {
        "manager": FIELD_MANAGER,
        "operation": operation,
        "apiVersion": obj["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": fields_of(owned | ({"metadata": meta} if meta else {})),
    }


def applied(live: Object, obj: Object) -> Object:
    """Return what a live object, {} if there is none, is once this one was applied.

    Raises ShardwrightError field-conflict where it would change what is somebody else's.
    """
    entries = live.get("metadata", {}).get("managedFields", [])
    others = [each for each in entries if not _is_applied(each)]
    before: Object = {}
    for each in filter(_is_applied, entries):
        before = each["fieldsV1"]
    theirs: Object = {}
    for each in others:
        for path in conflicts(each["fieldsV1"], live, obj):
            raise _conflict(each, path)
        theirs = merged(theirs, each["fieldsV1"])
    made = merged(left_out(live, before, obj, theirs), obj)
    made["metadata"]["managedFields"] = [*others, entry("Apply", obj)]
    return made


def _is_applied(each: Object) -> bool:
    return (each["manager"], each["operation"]) == (FIELD_MANAGER, "Apply")


def _conflict(owner: Object, path: str) -> ShardwrightError:
    return ShardwrightError(
        code="field-conflict",
        what=f'Apply failed with 1 conflict: conflict with "{owner["manager"]}": {path}',
        remedy="let it give the field up",
    )


def fields_of(value: Object) -> Object:
    """Name the fields of a value.

    >>> fields_of({"spec": {"replicas": 2, "ports": [{"port": 80}]}})
    {'f:spec': {'f:replicas': {}, 'f:ports': {}}}
    """
    return {f"f:{k}": fields_of(v) if isinstance(v, dict) else {} for k, v in value.items()}


def conflicts(fields: Object, live: Object, obj: Object) -> Iterator[str]:
    """Yield the paths of somebody's fields that an object would change.

    >>> live, obj = {"spec": {"a": 1, "b": 2, "c": 3}}, {"spec": {"a": 1, "b": 9}}
    >>> list(conflicts(fields_of(live), live, obj))
    ['.spec.b']
    """
    for key, inner in fields.items():
        name = key.removeprefix("f:")
        if name not in obj:
            continue
        if inner and isinstance(obj[name], dict) and isinstance(live.get(name), dict):
            yield from (f".{name}{rest}" for rest in conflicts(inner, live[name], obj[name]))
        elif live.get(name) != obj[name]:
            yield f".{name}"


def left_out(live: Object, fields: Object, new: Object, others: Object) -> Object:
    """Leave out of a live object the fields that were applied before and are not applied now.

    fields: those applied before; others: those that somebody else owns as well, which stay.
    """
    out = dict(live)
    for key, inner in fields.items():
        name = key.removeprefix("f:")
        if name not in out or (name in new and not inner):
            continue
        theirs = others.get(key)
        if inner and isinstance(out[name], dict):
            rest = left_out(out[name], inner, new.get(name) or {}, theirs or {})
            if rest or name in new:
                out[name] = rest
                continue
        if theirs is None:
            del out[name]
    return out


def merged(old: Object, new: Object) -> Object:
    """Put the fields of one object over those of another."""
    out = copy.deepcopy(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else copy.deepcopy(value)
    return out
