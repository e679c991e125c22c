"""The sequence of a deployment: record, apply, watch, and on failure evidence and the way back.

A deployment may end at any moment: what it owns is written into the cluster before anything is
applied, and a second run goes on from what it finds. Called by `shardwright deploy`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from shardwright.deploy.changes import ObjectChange, Verb, compare
from shardwright.deploy.evidence import collect, diagnose
from shardwright.deploy.inventory import (
    COMPONENT,
    INSTANCE,
    Inventory,
    from_object,
    inventory_ref,
    is_kept,
    references,
    to_object,
    union,
)
from shardwright.deploy.progress import (
    SCHEDULE_BUDGET_S,
    PodProgress,
    Stage,
    pod_progress,
    stage_budgets,
    stuck,
)
from shardwright.deploy.removal import remove
from shardwright.diagnose.doctor import Report
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.launch import Budgets
from shardwright.model.running import Clock

POLL_S = 2.0
"""Seconds between two looks at the endpoint's pods: one list by label, some kilobytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is being deployed: its name, how many pods serve it, and how long a start may take."""

    name: str
    namespace: str
    num_pods: int
    budgets: Budgets
    schedule_s: float = SCHEDULE_BUDGET_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A pod entered a stage. after_s: since the objects were applied; budget_s: of the stage."""

    pod: PodProgress
    after_s: float
    budget_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Something was done to an object."""

    change: ObjectChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A sentence about the sequence itself."""

    text: str


Event = Moved | Done | Told
Tell = Callable[[Event], None]


class Result(Enum):
    """How a deployment ended."""

    READY = "ready"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a deployment ended, and why. evidence: file name to text, taken before any rollback."""

    result: Result
    revision: int
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    evidence: dict[str, str] = field(default_factory=dict)
    report: Report | None = None
    rolled_back_to: int | None = None


def read_inventory(cluster: Cluster, name: str, namespace: str) -> Inventory | None:
    """Return the record of an endpoint, or None if there is none."""
    found = cluster.get(inventory_ref(name, namespace))
    return None if found is None else from_object(found)


def planned_changes(
    cluster: Cluster, target: Target, objects: tuple[Object, ...]
) -> tuple[ObjectChange, ...]:
    """Ask the server what applying would do to each object; changes nothing."""
    changes = [
        compare(cluster.get(reference(each)), cluster.apply(each, dry_run=True)) for each in objects
    ]
    return (*changes, *_removals(read_inventory(cluster, target.name, target.namespace), objects))


def _removals(inventory: Inventory | None, objects: tuple[Object, ...]) -> tuple[ObjectChange, ...]:
    owned = inventory.owned if inventory else ()
    gone = set(owned) - set(references(objects))
    return tuple(
        ObjectChange(ref=ref, verb=Verb.REMOVE) for ref in sorted(gone) if not is_kept(ref)
    )


class Rollout:
    """One deployment of one endpoint."""

    def __init__(self, cluster: Cluster, clock: Clock, target: Target, tell: Tell) -> None:
        self.cluster = cluster
        self.clock = clock
        self.target = target
        self.tell = tell
        self.start = clock.now()

    def deploy(
        self,
        objects: tuple[Object, ...],
        changes: tuple[ObjectChange, ...],
        *,
        rollback: bool = True,
    ) -> Outcome:
        """Apply what changes, wait until every pod is ready, and record it as good.

        changes: of `planned_changes`, so that the user has seen what happens now.
        """
        before = read_inventory(self.cluster, self.target.name, self.target.namespace)
        record = before or Inventory(name=self.target.name, namespace=self.target.namespace)
        moving = [each for each in changes if each.verb is not Verb.KEEP]
        if not moving and not record.pending and record.revision and self._all_ready():
            return Outcome(result=Result.UNCHANGED, revision=record.revision)
        self._record(replace(record, owned=union(record.owned, references(objects)), pending=True))
        self._apply(objects, changes)
        problems = self._settle()
        if problems:
            return self._fail(record, objects, problems, rollback=rollback)
        revision = record.revision + 1 if moving or not record.revision else record.revision
        kept = tuple(ref for ref in record.owned if is_kept(ref))
        self._record(
            replace(
                record,
                revision=revision,
                owned=union(references(objects), kept),
                good=objects,
                pending=False,
            )
        )
        return Outcome(
            result=Result.READY, revision=revision, seconds=self.clock.now() - self.start
        )

    def _record(self, inventory: Inventory) -> None:
        self.cluster.apply(to_object(inventory))

    def _apply(self, objects: tuple[Object, ...], changes: tuple[ObjectChange, ...]) -> None:
        by_ref = {change.ref: change for change in changes}
        for each in objects:
            change = by_ref[reference(each)]
            if change.verb is not Verb.KEEP:
                self.cluster.apply(each)
                self.tell(Done(change=change))
        for change in changes:
            if change.verb is Verb.REMOVE:
                self.cluster.delete(change.ref)
                self.tell(Done(change=change))

    def _pods(self) -> tuple[Object, ...]:
        labels = {INSTANCE: self.target.name, COMPONENT: "serving"}
        return self.cluster.list("v1", "Pod", namespace=self.target.namespace, labels=labels)

    def _all_ready(self) -> bool:
        pods = [pod_progress(each) for each in self._pods() if not _is_leaving(each)]
        return sum(each.stage is Stage.READY for each in pods) >= self.target.num_pods

    def _settle(self) -> tuple[str, ...]:
        """Watch until every pod is ready; return what is wrong if that will not happen."""
        budgets = stage_budgets(self.target.budgets, self.target.schedule_s)
        seen: dict[str, PodProgress] = {}
        since: dict[str, float] = {}
        began = self.clock.now()
        while True:
            pods = self._pods()
            now = self.clock.now()
            stale = self._replace_stale(pods)
            current = {
                name: pod_progress(each)
                for each in pods
                if not _is_leaving(each) and (name := each["metadata"]["name"]) not in stale
            }
            for name, pod in current.items():
                if name not in seen or seen[name].stage is not pod.stage:
                    since[name] = now
                    self.tell(
                        Moved(pod=pod, after_s=now - self.start, budget_s=budgets.get(pod.stage))
                    )
            seen = current
            ready = sum(each.stage is Stage.READY for each in current.values())
            if ready >= self.target.num_pods and len(current) == self.target.num_pods:
                return ()
            problems = stuck(current, since, now, budgets) + self._failed_tasks()
            if problems:
                return problems
            if len(current) < self.target.num_pods and now - began > self.target.schedule_s:
                waits = f"{len(current)} of {self.target.num_pods} pods exist"
                return (f"{waits} after {now - began:.0f} s; see the events of the workload",)
            self.clock.sleep(POLL_S)

    def _failed_tasks(self) -> tuple[str, ...]:
        """Say which jobs gave up; members that wait for them would wait until their budget ends."""
        jobs = self.cluster.list(
            "batch/v1", "Job", namespace=self.target.namespace, labels={INSTANCE: self.target.name}
        )
        return tuple(
            f"job {job['metadata']['name']} failed: {each.get('message', '')}"
            for job in jobs
            for each in job.get("status", {}).get("conditions", [])
            if each["type"] == "Failed" and each["status"] == "True"
        )

    def _replace_stale(self, pods: tuple[Object, ...]) -> frozenset[str]:
        """Delete pods of an older template whose StatefulSet leaves that to us (OnDelete)."""
        labels = {INSTANCE: self.target.name}
        sets = self.cluster.list(
            "apps/v1", "StatefulSet", namespace=self.target.namespace, labels=labels
        )
        stale = stale_pods(sets, pods)
        for pod in pods:
            if pod["metadata"]["name"] in stale and not _is_leaving(pod):
                self.tell(Told(text=f"replacing {pod['metadata']['name']}: its template changed"))
                self.cluster.delete(reference(pod))
        return stale

    def _fail(
        self,
        record: Inventory,
        objects: tuple[Object, ...],
        problems: tuple[str, ...],
        *,
        rollback: bool,
    ) -> Outcome:
        everything = self.cluster.list(
            "v1", "Pod", namespace=self.target.namespace, labels={INSTANCE: self.target.name}
        )
        evidence = collect(self.cluster, everything, self.target.namespace)
        outcome = Outcome(
            result=Result.FAILED,
            revision=record.revision,
            seconds=self.clock.now() - self.start,
            problems=problems,
            evidence=evidence,
            report=diagnose(evidence),
        )
        if not rollback:
            return outcome
        if not record.revision:
            self.tell(Told(text="first deployment failed: removing what it made"))
            remove(self.cluster, replace(record, owned=references(objects)), purge=False)
            return replace(outcome, rolled_back_to=0)
        self.tell(Told(text=f"going back to revision {record.revision}"))
        for each in record.good:
            self.cluster.apply(each)
        for change in _removals(replace(record, owned=references(objects)), record.good):
            self.cluster.delete(change.ref)
        self._settle()
        self._record(replace(record, pending=False))
        return replace(outcome, rolled_back_to=record.revision)


def _is_leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def stale_pods(sets: tuple[Object, ...], pods: tuple[Object, ...]) -> frozenset[str]:
    """Name the pods of an older template whose StatefulSet updates on deletion only."""
    current = {
        each["metadata"]["uid"]: each["status"]["updateRevision"]
        for each in sets
        if each["spec"].get("updateStrategy", {}).get("type") == "OnDelete"
        and each.get("status", {}).get("updateRevision")
        and each["status"].get("observedGeneration") == each["metadata"].get("generation")
    }
    stale = set()
    for pod in pods:
        revision = pod["metadata"].get("labels", {}).get("controller-revision-hash")
        for owner in pod["metadata"].get("ownerReferences", []):
            wanted = current.get(owner["uid"])
            if wanted is not None and revision != wanted:
                stale.add(pod["metadata"]["name"])
    return frozenset(stale)
