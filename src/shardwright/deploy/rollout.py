"""The sequence of a deployment: record, apply, watch, verify, and on failure the way back.

A deployment may end at any moment: what it owns is written into the cluster before anything is
applied, and a second run goes on from what it finds. Called by `shardwright deploy` and by
rehearsals on a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shardwright.deploy.applying import Applier
from shardwright.deploy.changes import ObjectChange, Verb
from shardwright.deploy.dry_run import planned_changes, removals
from shardwright.deploy.evidence import diagnose, evidence_of
from shardwright.deploy.inventory import (
    Inventory,
    is_kept,
    rank_places,
    references,
    to_object,
    union,
)
from shardwright.deploy.jobs import is_awaited, run_again, takes_gpus
from shardwright.deploy.jobwatch import JobWatch, finish
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.outgoing import outgoing
from shardwright.deploy.removal import find_inventory, remove
from shardwright.deploy.replicas import freed
from shardwright.deploy.size import is_scaled, num_pods
from shardwright.deploy.slots import Slot, instance, is_service
from shardwright.deploy.target import Target, Tell, Told
from shardwright.deploy.verification import Verification, Verifier
from shardwright.deploy.watching import Watcher
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.running import Clock

DRAIN_S = 15.0
"""Seconds between turning traffic to a new group and ending the old one: a Service's endpoints
reach every node within seconds, and what is in flight has the pod's own grace after that."""


class Rollout:
    """One deployment of one endpoint. verifier: what must hold before it counts as ready.

    written: the record as it stands in the cluster; while one deploys, it names old and new alike.
    jobs: those that are waited for now, or that failed.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, target: Target, tell: Tell,
        verifier: Verifier | None = None,
    ) -> None:  # fmt: skip
        self.cluster = cluster
        self.clock = clock
        self.target = target
        self.tell = tell
        self.verifier = verifier
        self.applier = Applier(cluster=cluster, clock=clock, tell=tell)
        self.start = clock.now()
        self.jobs: list[JobWatch] = []
        self.written = Inventory(name=target.name, namespace=target.namespace)

    def deploy(
        self, objects: tuple[Object, ...], changes: tuple[ObjectChange, ...], *,
        rollback: bool = True, slot: Slot = Slot.OWN,
    ) -> Outcome:  # fmt: skip
        """Apply what changes, wait until every pod is ready, verify, and record it as good.

        changes: of `planned_changes`, so that the user has seen what happens now. slot: the names
        that the objects have; another than the one that serves starts a group beside it.
        """
        name, namespace = self.target.name, self.target.namespace
        record = find_inventory(self.cluster, name, namespace)
        record = record or Inventory(name=name, namespace=namespace, slot=slot.value)
        moving = [each for each in changes if each.verb is not Verb.KEEP]
        serving = self._watcher(Slot(record.slot))
        if not moving and not record.pending and record.revision and serving.all_ready():
            return Outcome(result=Result.UNCHANGED, revision=record.revision)
        beside = bool(record.revision) and slot.value != record.slot
        begun = self._begin(record, objects, changes, slot)
        problems = self._apply(objects, changes, leave=self._public(beside=beside))
        watcher = self._watcher(slot, begun.outdated)
        problems = problems or watcher.settle()
        if problems:
            return self._fail(record, objects, problems, rollback=rollback)
        if beside and (problems := self._move_traffic(watcher, objects, changes)):
            return self._fail(record, objects, problems, rollback=rollback)
        return self._finish(record, objects, watcher, slot, rollback=rollback)

    def _begin(
        self, record: Inventory, objects: tuple[Object, ...], changes: tuple[ObjectChange, ...],
        slot: Slot,
    ) -> Inventory:  # fmt: skip
        """Write down what will be owned and which pods will go, before anything is touched."""
        earlier = record.outdated if record.pending else ()
        outdated = tuple(sorted({*earlier, *outgoing(changes, self._watcher(slot).pods())}))
        begun = replace(
            record,
            owned=union(record.owned, references(objects)),
            pending=True,
            next_slot=slot.value,
            outdated=outdated,
            engine=self.target.container,
            ranks=rank_places(self.target.ranks),
            links=self.verifier.links if self.verifier else None,
        )
        self._record(begun)
        return begun

    def _finish(
        self, record: Inventory, objects: tuple[Object, ...], watcher: Watcher, slot: Slot, *,
        rollback: bool,
    ) -> Outcome:  # fmt: skip
        seconds = self.clock.now() - self.start
        verification = self.verifier.whole(watcher.pods()) if self.verifier else None
        if verification is not None and not verification.serves:
            failed = tuple(f"{c.name}: {c.detail}" for c in verification.checks if not c.passed)
            return self._fail(record, objects, failed, rollback=rollback, found=verification)
        # not what this run had to change: an earlier one may have been cut off after changing it
        revision = record.revision + (objects != record.good)
        kept = tuple(ref for ref in record.owned if is_kept(ref))
        self._record(
            replace(
                record,
                revision=revision,
                owned=union(references(objects), kept),
                good=objects,
                pending=False,
                slot=slot.value,
                next_slot=slot.value,
                outdated=(),
                engine=self.target.container,
                ranks=rank_places(self.target.ranks),
                verified=verification.as_text() if verification else "",
                links=self.verifier.links if self.verifier else None,
            )
        )
        return Outcome(
            result=Result.READY, revision=revision, seconds=seconds, verification=verification
        )

    def _watcher(self, slot: Slot, outdated: Iterable[str] = ()) -> Watcher:
        label = instance(self.target.name, slot)
        watched = Watcher(
            self.cluster,
            self.clock,
            self.target,
            self.tell,
            label,
            frozenset(outdated),
            self.verifier.peaks if self.verifier else None,
        )
        watched.began = self.start
        return watched

    def _record(self, inventory: Inventory) -> None:
        self.cluster.apply(to_object(inventory))
        self.written = inventory

    def _public(self, *, beside: bool) -> str | None:
        return self.verifier.service().name if beside and self.verifier else None

    def _apply(
        self, objects: tuple[Object, ...], changes: tuple[ObjectChange, ...], leave: str | None
    ) -> tuple[str, ...]:
        """Make every change, in order; return what the server refuses, or what is wrong with a job
        the rest must wait for.

        Jobs run side by side; what takes GPUs is applied once all before it are done. leave: the
        Service that stays as it is, and with it the old group.
        """
        by_ref = {change.ref: change for change in changes}
        scalers = freed(self.written.owned, objects)
        self.jobs = []
        for each in objects:
            if takes_gpus(each) and (problems := self._finish_jobs()):
                return problems
            change, scaler = by_ref[reference(each)], scalers.get(reference(each))
            is_same = change.verb is Verb.KEEP and scaler is None
            is_left = is_same or is_service(each, leave)
            if not is_left and (problems := self.applier.make(each, change, scaler)):
                return problems
            if is_awaited(each):
                self.jobs.append(JobWatch(self.cluster, self.clock, self.target, self.tell, each))
        if problems := self._finish_jobs():
            return problems
        if leave is None:
            self.applier.remove(changes)
        return ()

    def _finish_jobs(self) -> tuple[str, ...]:
        problems = finish(self.jobs, self.clock, self.tell)
        self.jobs = self.jobs if problems else []
        return problems

    def _move_traffic(
        self, watcher: Watcher, objects: tuple[Object, ...], changes: tuple[ObjectChange, ...]
    ) -> tuple[str, ...]:
        """Ask the new leaders themselves; if they answer, send clients there and end the old."""
        if self.verifier is None:
            raise AssertionError("a second group without anybody to verify it")
        self.tell(Told(text="the new group is ready: asking its leader before traffic moves"))
        checks = self.verifier.through_pods(watcher.pods())
        if failed := [each for each in checks if not each.passed]:
            return tuple(f"{each.name}: {each.detail}" for each in failed)
        public = self.verifier.service().name
        for each in objects:
            if is_service(each, public):
                self.cluster.apply(each)
        self.tell(Told(text=f"Service/{public} sends to the new group; the old one drains"))
        self.clock.sleep(DRAIN_S)
        self.applier.remove(changes)
        return ()

    def _fail(
        self, record: Inventory, objects: tuple[Object, ...], problems: tuple[str, ...], *,
        rollback: bool, found: Verification | None = None,
    ) -> Outcome:  # fmt: skip
        evidence = evidence_of(self.cluster, self.written, deploying=True)
        said = {f"{job.ref.name}.log": job.log for job in self.jobs if job.log}
        evidence = replace(evidence, files={**said, **evidence.files})
        outcome = Outcome(
            result=Result.FAILED,
            revision=record.revision,
            seconds=self.clock.now() - self.start,
            problems=problems,
            evidence=evidence.as_files(),
            report=diagnose(evidence),
            verification=found,
        )
        if not rollback:
            return outcome
        if not record.revision:
            self.tell(Told(text="first deployment failed: removing what it made"))
            remove(self.cluster, self.written, purge=False)
            return replace(outcome, rolled_back_to=0)
        if not record.good:
            self.tell(Told(text="the record was lost: there are no manifests to go back to"))
            return outcome
        if not_back := self._go_back(record, objects):
            told = (f"going back to revision {record.revision}: {each}" for each in not_back)
            return replace(outcome, problems=(*problems, *told))
        return replace(outcome, rolled_back_to=record.revision)

    def _go_back(self, record: Inventory, objects: tuple[Object, ...]) -> tuple[str, ...]:
        """Apply the last good manifests and wait until they serve again; return why they do not.

        What failed is removed, and what an interrupted deployment before it left. Claims stay, and
        on record, for `delete --purge`.
        """
        self.tell(Told(text=f"going back to revision {record.revision}"))
        self.target = replace(
            self.target, num_pods=num_pods(record.good), may_have_more=is_scaled(record.good),
            ranks=(), reading=None,
        )  # fmt: skip
        slot = Slot(record.slot)
        back = planned_changes(self.cluster, self.target, record.good)
        back = run_again(record.good, back, objects)
        outdated = outgoing(back, self._watcher(slot).pods())
        moving = tuple(c for c in back if c.verb is not Verb.REMOVE)
        problems = self._apply(record.good, moving, leave=None)
        self.applier.remove(removals(self.written, record.good))
        problems = problems or self._watcher(slot, outdated).settle()
        kept = tuple(ref for ref in self.written.owned if is_kept(ref))
        self._record(
            replace(
                record,
                owned=union(references(record.good), kept),
                pending=bool(problems),
                next_slot=record.slot,
                outdated=tuple(sorted(outdated)) if problems else (),
            )
        )
        return problems
