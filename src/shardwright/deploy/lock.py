"""One command at a time changes an endpoint: a ConfigMap beside its record, there while one does.

A laptop and CI that deploy at once would overwrite each other's record and roll each other back.
The lock is created, which the server lets one do, and renewed; a second command that sees it
renewed refuses. No clock is compared with another's: that a holder died is seen by watching.
A ConfigMap, not a Lease: who deploys may write those anyway. Called by deploy and delete.
Source of the rule: k8s.io/client-go v0.34.0, tools/leaderelection/leaderelection.go (2025-08).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from shardwright.deploy.inventory import COMPONENT, MANAGED
from shardwright.deploy.target import Tell, Told
from shardwright.model.cluster import Cluster, Object, ObjectRef
from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.running import Clock

RENEW_S = 5.0
"""Seconds between two renewals, and about what a second command waits until it refuses."""
DEAD_S = 30.0
"""Seconds without a renewal after which the holder counts as dead: six missed ones. One that lives
all the same, behind a line that was cut, learns of it before it writes again."""

LOCK = "lock"
"""The component that a lock is labelled as."""
WRITES = frozenset({"apply", "create", "delete", "set_owners"})
OTHERS = frozenset({"field-conflict", "object-refused"})
"""How a server refuses to apply with the uid of what is gone: 409, or 422 if its name is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who changes an endpoint, for people to read. since: by their clock, which may be off."""

    by: str
    command: str
    since: str


class Lock:
    """The lock of one endpoint, for one command."""

    def __init__(
        self, cluster: Cluster, clock: Clock, endpoint: tuple[str, str], holder: Holder, tell: Tell
    ) -> None:
        """Make a lock that is not held yet; endpoint: its name and its namespace."""
        self.name, namespace = endpoint
        self.ref = ObjectRef(
            api_version="v1", kind="ConfigMap", name=f"{self.name}-lock", namespace=namespace
        )
        self.is_lost = False
        self._cluster = cluster
        self._clock = clock
        self._holder = holder
        self._tell = tell
        self._uid = ""
        self._renewals = itertools.count(1)

    @contextmanager
    def held(self) -> Iterator[Cluster]:
        """Hold the lock; yields the cluster, as one that may change the endpoint sees it.

        Raises ShardwrightError if somebody else holds it and is alive.
        """
        try:
            self._acquire()
            yield cast("Cluster", Guarded(self._cluster, self))
        finally:
            if self._uid:
                # who cannot be told that it is over will see it in a while
                with suppress(ShardwrightError):
                    self._cluster.delete(self.ref, uid=self._uid)

    def renew(self) -> None:
        """Show that the holder is alive. Raises ShardwrightError if the lock is another's now."""
        self.check()
        alive = {"renewals": str(next(self._renewals))}
        try:
            self._cluster.apply(self._object(alive, uid=self._uid))
        except ShardwrightError as error:
            if error.code not in OTHERS or self._is_ours(self._cluster.get(self.ref)):
                raise
            self.is_lost = True
            raise self._lost() from error

    def check(self) -> None:
        """Raise ShardwrightError if a renewal found that the lock is another's."""
        if self.is_lost:
            raise self._lost()

    def _acquire(self) -> None:
        seen, since = "", self._clock.now()
        while not self._create():
            live = self._cluster.get(self.ref)
            if live is None:
                continue  # released between the two requests
            meta = live["metadata"]
            if meta.get("labels", {}).get(COMPONENT) != LOCK:
                raise self._foreign()
            if seen and meta["resourceVersion"] != seen:
                raise self._busy(live)
            if not seen:
                seen, since = meta["resourceVersion"], self._clock.now()
                self._tell(Told(text=f"{_words(live)}: looking up to {DEAD_S:.0f} s if it lives"))
            elif self._clock.now() - since >= DEAD_S:
                self._tell(Told(text=f"{self.ref} was not renewed: its holder died, going on"))
                self._cluster.delete(self.ref, uid=meta["uid"])
                continue
            self._clock.sleep(1.0)

    def _create(self) -> bool:
        held = {"by": self._holder.by, "command": self._holder.command, "since": self._holder.since}
        try:
            self._uid = self._cluster.create(self._object(held))["metadata"]["uid"]
        except ShardwrightError as error:
            if error.code != "object-exists":
                raise
            return False
        return True

    def _object(self, data: dict[str, str], **meta: str) -> Object:
        # without the endpoint's own label: what carries that is searched for if its record is lost
        labels = {**MANAGED, COMPONENT: LOCK}
        return {
            "apiVersion": self.ref.api_version,
            "kind": self.ref.kind,
            "metadata": {
                "name": self.ref.name, "namespace": self.ref.namespace, "labels": labels, **meta,
            },
            "data": data,
        }  # fmt: skip

    def _is_ours(self, live: Object | None) -> bool:
        return live is not None and live["metadata"]["uid"] == self._uid

    def _busy(self, live: Object) -> ShardwrightError:
        return ShardwrightError(
            code="endpoint-busy",
            what=f"endpoint {self.name} is being changed: {_words(live)}",
            cause=f"{self.ref} in namespace {self.ref.namespace} was renewed while this command "
            "watched it; two that change one endpoint would undo each other's work",
            remedy="wait until it ends, or end it there (Ctrl-C), then try again; one that died "
            f"is passed over after {DEAD_S:.0f} s",
        )

    def _foreign(self) -> ShardwrightError:
        return usage_error(
            "name-of-the-lock-taken",
            f"{self.ref} in namespace {self.ref.namespace} exists, and is no lock of shardwright",
            cause=f"commands that change endpoint {self.name} keep each other out by that name",
            remedy="rename that ConfigMap, or give the endpoint another metadata.name",
        )

    def _lost(self) -> ShardwrightError:
        return ShardwrightError(
            code="endpoint-taken-over",
            what=f"another command has taken over endpoint {self.name}; this one changes nothing "
            "any more",
            cause=f"{self.ref} was deleted, or not renewed for {DEAD_S:.0f} s: this machine slept, "
            "or did not reach the API server",
            remedy=f"shardwright status {self.name} -n {self.ref.namespace}, and when it is ready "
            "or failed there, the same command again",
        )


class Guarded:
    """A cluster that nothing is written to without the lock.

    It is renewed before every write: time may have stood still here for hours, as under the lid of
    a laptop, so what was so at the last look tells nothing.
    """

    def __init__(self, cluster: Cluster, lock: Lock) -> None:
        self._cluster = cluster
        self._lock = lock

    def __getattr__(self, method: str) -> Any:
        """Pass a method of the cluster on."""
        if method in WRITES:
            self._lock.renew()
        else:
            self._lock.check()
        return getattr(self._cluster, method)


def _words(live: Object) -> str:
    data = live.get("data", {})
    return f"{data.get('by')} began {data.get('command')} at {data.get('since')} by its clock"
