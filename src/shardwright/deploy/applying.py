"""One change after the other, as planned: what the server refuses is said, not raised.

Called by the rollout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shardwright.deploy.changes import ObjectChange, Verb
from shardwright.deploy.removal import await_gone, delete_served
from shardwright.deploy.replicas import keep_replicas, take_back
from shardwright.deploy.target import Done, Tell
from shardwright.model.cluster import Cluster, Object, ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Clock

REFUSALS = frozenset(
    {"object-refused", "admission-refused", "request-refused", "field-conflict", "kind-not-served"}
)
"""Codes of an object that the server will not have, which asking again does not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applier:
    """Makes changes in a cluster, and tells of each."""

    cluster: Cluster
    clock: Clock
    tell: Tell

    def make(self, obj: Object, change: ObjectChange, scaler: ObjectRef | None) -> tuple[str, ...]:
        """Make a change; return why not, if the server refuses it.

        scaler: what counted the replicas of this workload until now, and goes.
        """
        if scaler is not None and delete_served(self.cluster, scaler):
            await_gone(self.cluster, self.clock, scaler, self.tell)
            self.tell(Done(change=ObjectChange(ref=scaler, verb=Verb.REMOVE)))
        if change.verb is Verb.REPLACE:
            self.cluster.delete(change.ref)
        if change.verb in (Verb.CREATE, Verb.REPLACE):
            await_gone(self.cluster, self.clock, change.ref, self.tell)
        try:
            if scaler is not None:
                take_back(self.cluster, change.ref)
            live = self.cluster.get(change.ref) if change.verb is Verb.CHANGE else None
            self.cluster.apply(keep_replicas(live, obj))
        except ShardwrightError as error:
            if error.code not in REFUSALS:
                raise
            return (f"{change.ref}: {error.what}",)
        if change.verb is not Verb.KEEP:
            self.tell(Done(change=change))
        return ()

    def remove(self, changes: Iterable[ObjectChange]) -> None:
        """Delete what has to go and is still there."""
        for change in changes:
            if change.verb is Verb.REMOVE and delete_served(self.cluster, change.ref):
                self.tell(Done(change=change))
