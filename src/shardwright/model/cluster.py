"""The port to a Kubernetes API server: what deploying, watching and removing need of it.

Objects are the API's own JSON, unaltered: a typed copy would drop fields that are newer than its
types. The real adapter and an in-memory one live in `shardwright.drive`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shardwright.model.running import Http

Object = dict[str, Any]

OUTAGE_S = 180.0
"""Seconds that an API server may be away: longer than a restart or a failover takes."""
TRANSIENT = frozenset({"cluster-unreachable", "cluster-error", "cluster-busy"})
"""Codes of errors that time may mend."""

JOB_NAME = "batch.kubernetes.io/job-name"
"""Label by which the pods of a Job carry its name; from 1.27 the server sets it on them."""

FIELD_MANAGER = "shardwright"
"""Owner of the fields we set, by which the API server tells ours from everybody else's."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectRef:
    """An object by name. namespace is empty for what belongs to the whole cluster."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        """Render as kubectl does.

        >>> str(ObjectRef(api_version="apps/v1", kind="StatefulSet", name="llama-worker"))
        'StatefulSet/llama-worker'
        """
        return f"{self.kind}/{self.name}"


def reference(obj: Object) -> ObjectRef:
    """Name an object.

    >>> str(reference({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "llama"}}))
    'Service/llama'
    """
    meta = obj["metadata"]
    return ObjectRef(
        api_version=obj["apiVersion"],
        kind=obj["kind"],
        name=meta["name"],
        namespace=meta.get("namespace", ""),
    )


class Cluster(Protocol):
    """An API server. Every method raises ShardwrightError if it refuses or cannot be reached."""

    def server_version(self) -> str:
        """Return the version, such as 1.34.4."""
        ...

    def serves(self, api_version: str, kind: str) -> bool:
        """Tell whether the server knows a kind."""
        ...

    def may(self, verb: str, ref: ObjectRef, subresource: str = "") -> bool:
        """Tell whether we are allowed to; the name of ref does not matter."""
        ...

    def get(self, ref: ObjectRef) -> Object | None:
        """Return an object, or None if there is none."""
        ...

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> tuple[Object, ...]:
        """Return objects of a kind, of one namespace or of all, that carry the labels."""
        ...

    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Apply server side as our field manager; return the object as the server has it then.

        Raises field-conflict for a field that somebody else set to another value. One with a uid
        changes that very object: raises field-conflict or object-refused if it is gone, or another
        has its name.
        """
        ...

    def set_owners(self, live: Object, managed_fields: Sequence[Object]) -> Object:
        """Write anew whose the fields of a live object are; what they are stays.

        Raises field-conflict if it has changed since it was read.
        """
        ...

    def create(self, obj: Object) -> Object:
        """Create an object and return it; raises object-exists if there is one of its name."""
        ...

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        """Delete an object and, in the background, what it owns; False if there was none.

        uid: only if it is this very object, and not a later one of its name.
        """
        ...

    def logs(
        self, pod: ObjectRef, container: str, *, previous: bool = False, tail_lines: int = 400,
        since_s: float | None = None,
    ) -> str:  # fmt: skip
        """Return the end of a container's log; empty if there is none yet.

        since_s: only what was written in the last so many seconds.
        """
        ...

    def follow(self, pod: ObjectRef, container: str, *, tail_lines: int = 400) -> Iterator[str]:
        """Yield the end of a container's log, then its lines as they come, until it ends."""
        ...

    def proxy_base(self, ref: ObjectRef, port: str) -> str:
        """Return the address of a port of a Service or a pod, through the API server, for http."""
        ...

    def http(self) -> Http:
        """Return a client for addresses of `proxy_base`; it passes no key on."""
        ...

    def node_stats(self, node: str) -> Object:
        """Return what a kubelet says its pods use (stats/summary)."""
        ...


def pods_of_job(cluster: Cluster, job: Object) -> tuple[Object, ...]:
    """List the pods of a Job; of one that the server returned, by its uid, its very own.

    The pods of an earlier Job of its name are still there for a while after that was deleted.
    """
    meta = job["metadata"]
    labels = {JOB_NAME: meta["name"]}
    found = cluster.list("v1", "Pod", namespace=meta["namespace"], labels=labels)
    return tuple(each for each in found if not _is_of_another_job(each, meta.get("uid")))


def _is_of_another_job(pod: Object, uid: str | None) -> bool:
    owners = pod["metadata"].get("ownerReferences", [])
    theirs = {each["uid"] for each in owners if each["kind"] == "Job"}
    return uid is not None and bool(theirs) and uid not in theirs
