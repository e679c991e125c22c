"""Reading a cluster for evidence: what it refuses to show is noted, and the rest is read on.

A role that may read pods and logs but not nodes is common; silence about it would make the evidence
look complete. Called by evidence and surroundings.
"""

from __future__ import annotations

from collections.abc import Mapping

from shardwright.model.cluster import Cluster, Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Unreachable

LOG_LINES = 5000
"""Last lines taken of each container: a first cause stands well above the traceback it ends in."""
_ANSWER_S = 10.0
_FORBIDDEN = 403


class Reading:
    """One look at a cluster, and what could not be seen."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._refused: dict[str, str] = {}

    @property
    def unread(self) -> tuple[str, ...]:
        """What was refused and why, such as `Node: nodes is forbidden: ..`."""
        return tuple(f"{what}: {why}" for what, why in sorted(self._refused.items()))

    def list(
        self, api_version: str, kind: str, *, namespace: str | None = None,
        labels: Mapping[str, str] | None = None, what: str | None = None,
    ) -> tuple[Object, ...]:  # fmt: skip
        """List objects; none where the cluster lacks the kind or refuses. what: their name in
        `unread`, if not the kind.
        """
        try:
            if not self._cluster.serves(api_version, kind):
                return ()
            return self._cluster.list(api_version, kind, namespace=namespace, labels=labels)
        except ShardwrightError as error:
            self._refused[what or kind] = error.what
            return ()

    def get(self, ref: ObjectRef) -> Object | None:
        """Return an object; None where there is none or it is refused."""
        try:
            return self._cluster.get(ref)
        except ShardwrightError as error:
            self._refused[ref.kind] = error.what
            return None

    def is_missing(self, ref: ObjectRef) -> bool:
        """Tell whether an object is certainly not there."""
        try:
            return self._cluster.get(ref) is None
        except ShardwrightError as error:
            self._refused[ref.kind] = error.what
            return False

    def logs(self, pod: Object, container: str, *, previous: bool) -> str:
        """Return the end of a container's log, empty where there is none or it is refused."""
        ref = reference(pod)
        try:
            return self._cluster.logs(ref, container, previous=previous, tail_lines=LOG_LINES)
        except ShardwrightError as error:
            self._refused[f"log of {ref.name}/{container}"] = error.what
            return ""

    def page(self, pod: Object, port: str, path: str) -> str:
        """Ask a pod over HTTP through the API server; empty where nothing answers."""
        url = f"{self._cluster.proxy_base(reference(pod), port)}{path}"
        try:
            reply = self._cluster.http().send(url, body=None, key=None, timeout_s=_ANSWER_S)
        except (Unreachable, ShardwrightError):
            return ""
        if reply.status == _FORBIDDEN:
            self._refused["pods/proxy (metrics)"] = f"{path} of {pod['metadata']['name']}: 403"
        return reply.body.decode("utf-8", "replace") if reply.status == 200 else ""
