"""An API server in memory: stores what is applied, as the real one would without controllers.

For tests of everything above the port, ours and our users'. Pods and logs are put in by the test.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from shardwright.drive.managed_fields import applied, entry
from shardwright.model.cluster import Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Http

CLUSTER_KINDS = frozenset({"Node", "Namespace", "StorageClass", "PersistentVolume"})


class MemoryCluster:
    """Objects by reference, and a record of what was asked."""

    def __init__(self, *objects: Object, unserved: frozenset[str] = frozenset()) -> None:
        self.objects: dict[ObjectRef, Object] = {}
        self.unserved = unserved
        self.forbidden: set[tuple[str, str]] = set()
        self.refuses: dict[str, ShardwrightError] = {}
        self.container_logs: dict[tuple[str, str], str] = {}
        self.client: Http | None = None
        self.stats: dict[str, Object] = {}
        self.on_apply: Callable[[Object], None] = lambda _: None
        self._version = 0
        for obj in objects:
            self.put(obj)

    def put(self, obj: Object) -> Object:
        """Store an object as it is, status included."""
        self._version += 1
        stored = copy.deepcopy(obj)
        stored["metadata"]["resourceVersion"] = str(self._version)
        stored["metadata"].setdefault("uid", f"uid-{self._version}")
        self.objects[self._key(reference(obj))] = stored
        return copy.deepcopy(stored)

    def server_version(self) -> str:
        """Return a version."""
        return "1.34.4"

    def serves(self, api_version: str, kind: str) -> bool:
        """Every kind is known but those left out."""
        del api_version
        return kind not in self.unserved

    def may(self, verb: str, ref: ObjectRef, subresource: str = "") -> bool:
        """Everything is allowed but what was forbidden."""
        kind = f"{ref.kind}/{subresource}" if subresource else ref.kind
        return (verb, kind) not in self.forbidden

    def get(self, ref: ObjectRef) -> Object | None:
        """Return a copy of an object."""
        self._refuse_unserved(ref.api_version, ref.kind)
        return copy.deepcopy(self.objects.get(self._key(ref)))

    def list(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> tuple[Object, ...]:
        """Return copies of the objects that match, by name."""
        self._refuse_unserved(api_version, kind)
        wanted = dict(labels or {}).items()
        return tuple(
            copy.deepcopy(obj)
            for ref, obj in sorted(self.objects.items())
            if (ref.api_version, ref.kind) == (api_version, kind)
            and namespace in (None, ref.namespace)
            and wanted <= obj["metadata"].get("labels", {}).items()
        )

    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Store the fields and drop those applied before and not now.

        The version moves only if something changes.
        """
        ref = self._key(reference(obj))
        self._refuse_unserved(ref.api_version, ref.kind)
        if ref.kind in self.refuses:
            raise self.refuses[ref.kind]
        before = self.objects.get(ref)
        uid = obj["metadata"].get("uid")
        if uid is not None and (before is None or before["metadata"]["uid"] != uid):
            raise ShardwrightError(
                code="field-conflict", what=f"{ref} is not {uid}", remedy="leave the uid out"
            )
        made = applied(before or {}, obj)
        if dry_run:
            return made
        if made != before:
            self.on_apply(self.put(made))
        return copy.deepcopy(self.objects[ref])

    def set_owners(self, live: Object, managed_fields: Sequence[Object]) -> Object:
        """Store them, unless the version has moved."""
        found = self.objects[self._key(reference(live))]
        if found["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise ShardwrightError(
                code="field-conflict", what="the object has been modified", remedy="read it again"
            )
        return self.put(
            {**found, "metadata": {**found["metadata"], "managedFields": [*managed_fields]}}
        )

    def create(self, obj: Object) -> Object:
        """Store a new object."""
        ref = self._key(reference(obj))
        self._refuse_unserved(ref.api_version, ref.kind)
        if ref in self.objects:
            raise ShardwrightError(
                code="object-exists", what=f"{ref} already exists", remedy="delete it first"
            )
        meta = {**obj["metadata"], "managedFields": [entry("Update", obj)]}
        created = self.put({**obj, "metadata": meta})
        self.on_apply(created)
        return created

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        """Forget an object."""
        self._refuse_unserved(ref.api_version, ref.kind)
        found = self.objects.get(self._key(ref))
        if found is not None and uid not in (None, found["metadata"]["uid"]):
            return False
        return self.objects.pop(self._key(ref), None) is not None

    def logs(
        self, pod: ObjectRef, container: str, *, previous: bool = False, tail_lines: int = 400,
        since_s: float | None = None,
    ) -> str:  # fmt: skip
        """Return what the test put in."""
        del since_s
        key = (pod.name, f"{container}:previous" if previous else container)
        lines = self.container_logs.get(key, "").splitlines(keepends=True)
        return "".join(lines[-tail_lines:])

    def follow(self, pod: ObjectRef, container: str, *, tail_lines: int = 400) -> Iterator[str]:
        """Yield what the test put in."""
        yield from self.logs(pod, container, tail_lines=tail_lines).splitlines()

    def proxy_base(self, ref: ObjectRef, port: str) -> str:
        """Return an address that says what was asked for."""
        return f"{ref.kind}/{ref.namespace}/{ref.name}:{port}"

    def http(self) -> Http:
        """Return the client that the test put in."""
        if self.client is None:
            raise AssertionError("no client was put in")
        return self.client

    def node_stats(self, node: str) -> Object:
        """Return what the test put in."""
        if node not in self.stats:
            raise ShardwrightError(code="cluster-forbidden", what="nodes/proxy", remedy="ask")
        return copy.deepcopy(self.stats[node])

    def _refuse_unserved(self, api_version: str, kind: str) -> None:
        if not self.serves(api_version, kind):
            raise ShardwrightError(
                code="kind-not-served",
                what=f"{kind} is not served",
                remedy="take it out of `unserved`",
            )

    def _key(self, ref: ObjectRef) -> ObjectRef:
        if ref.kind in CLUSTER_KINDS:
            return replace(ref, namespace="")
        return ref if ref.namespace else replace(ref, namespace="default")
