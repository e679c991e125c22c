"""Waits until every pod of an endpoint is ready, tells what happens, and says what never will.

Called by the rollout. Sits out a short outage of the API server: the pods go on without it.
"""

from __future__ import annotations

from collections.abc import Mapping

from shardwright.deploy.changes import is_leaving
from shardwright.deploy.evidence import last_seen
from shardwright.deploy.inventory import COMPONENT, INSTANCE
from shardwright.deploy.members import has_successor, seated
from shardwright.deploy.patience import until_told
from shardwright.deploy.progress import (
    PodProgress,
    Stage,
    pod_progress,
    stage_budgets,
    stuck,
)
from shardwright.deploy.starting import Starts
from shardwright.deploy.target import Moved, Target, Tell, Told, Waiting
from shardwright.deploy.usage import SharedPeaks
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Clock

PEAK_EVERY_S = 30.0
"""Seconds between two looks at shared memory; kubelets count it once a minute."""


WATCHED = (("apps/v1", "StatefulSet"), ("apps/v1", "Deployment"))
"""Kinds that tell how far their controller is with them."""


class Watcher:
    """Looks at the pods of one instance until they are ready."""

    def __init__(
        self, cluster: Cluster, clock: Clock, target: Target, tell: Tell, instance: str,
        outdated: frozenset[str] = frozenset(), peaks: SharedPeaks | None = None,
    ) -> None:  # fmt: skip
        """Watch an instance; outdated: uids of pods that do not count, since they are replaced."""
        self.cluster = cluster
        self.clock = clock
        self.target = target
        self.tell = tell
        self.instance = instance
        self.outdated = outdated
        self.began = clock.now()
        self.starts = Starts(cluster, clock, target)
        self._peaks = peaks
        self._peaked_at = self.began
        self._seen: dict[str, PodProgress] = {}
        self._since: dict[str, float] = {}
        self._absent_since: float | None = None

    def pods(self) -> tuple[Object, ...]:
        """Return the serving pods, those that are leaving or have a successor left out."""
        labels = {INSTANCE: self.instance, COMPONENT: "serving"}
        found = self.cluster.list("v1", "Pod", namespace=self.target.namespace, labels=labels)
        return tuple(e for e in found if not is_leaving(e) and not has_successor(e))

    def all_ready(self) -> bool:
        """Tell whether every pod is there and ready now."""
        pods = [pod_progress(each) for each in self.pods()]
        return sum(each.stage is Stage.READY for each in pods) >= self.target.num_pods

    def settle(self) -> tuple[str, ...]:
        """Watch until every pod is ready; return what is wrong if that will not happen.

        What ran before the pods were asked for does not count against their budgets.
        """
        self.starts.applied_s = self.clock.now()
        return until_told(self._look, self.clock, self.tell)

    def _look(self) -> tuple[str, ...] | None:
        budgets = stage_budgets(self.target.budgets, self.target.schedule_s)
        pods = self.pods()
        now = self.clock.now()
        workloads = self._workloads()
        stale = self._replace_stale(workloads, pods)
        fresh = tuple(each for each in pods if each["metadata"]["name"] not in stale)
        current = {pod.name: pod for pod in map(pod_progress, fresh)}
        self._tell_moves(current, now, budgets)
        for milestone in self.starts.look(fresh, current, self.began):
            self.tell(milestone)
        if self._peaks is not None and now - self._peaked_at >= PEAK_EVERY_S:
            self._peaked_at = now
            self._peaks.look(fresh)
        ready = sum(each.stage is Stage.READY for each in current.values())
        wanted = self.target.num_pods
        if self.target.may_have_more:
            wanted = max(wanted, len(current))
        settled = ready >= wanted and len(current) == wanted
        if settled and not any(is_behind(each) for each in workloads):
            return ()
        problems = stuck(current, self._since, now, budgets)
        problems = problems or self._absent(current, len(pods) - len(fresh), now)
        if problems:
            return problems
        self._tell_waiting(fresh, len(pods) - len(fresh), current, now, budgets)
        return None

    def _tell_moves(
        self, current: Mapping[str, PodProgress], now: float, budgets: Mapping[Stage, float]
    ) -> None:
        for name, pod in current.items():
            if name not in self._seen or self._seen[name].stage is not pod.stage:
                self._since[name] = now
                after_s, budget_s = now - self.began, budgets.get(pod.stage)
                self.tell(Moved(pod=pod, after_s=after_s, budget_s=budget_s))
        self._seen = dict(current)

    def _tell_waiting(
        self, pods: tuple[Object, ...], num_old: int, current: Mapping[str, PodProgress],
        now: float, budgets: Mapping[Stage, float],
    ) -> None:  # fmt: skip
        after_s = now - self.began
        missing = self.target.num_pods - len(current) - num_old
        if missing > 0:
            what = f"{missing} of {self.target.num_pods} pods to be created"
            budget_s = self.target.schedule_s
            since_s = now - (self._absent_since or self.starts.applied_s)
            self.tell(Waiting(what=what, after_s=after_s, since_s=since_s, budget_s=budget_s))
            return
        for each in seated(pods):
            pod = current[each.name]
            if pod.stage is Stage.READY:
                continue
            percent = self.starts.percent(each.group, each.member)
            part = f", weights {percent}%" if percent is not None else ""
            self.tell(
                Waiting(
                    what=f"{pod.name}: {pod.stage.value}{part}",
                    after_s=after_s,
                    since_s=now - self._since[pod.name],
                    budget_s=budgets.get(pod.stage),
                )
            )
            return

    def _absent(
        self, current: Mapping[str, PodProgress], num_old: int, now: float
    ) -> tuple[str, ...]:
        """Say that pods are not made, or old ones not replaced, for longer than a node is waited
        for. A rolling update keeps old pods until the new ones before them are ready.
        """
        waited_s = 0.0
        if len(current) + num_old < self.target.num_pods:
            self._absent_since = now if self._absent_since is None else self._absent_since
            waited_s = now - self._absent_since
        else:
            self._absent_since = None
            if num_old and all(each.stage is Stage.READY for each in current.values()):
                moved = [self._since[name] for name in current]
                waited_s = now - max(moved, default=self.starts.applied_s)
        if waited_s <= self.target.schedule_s:
            return ()
        there = f"{len(current)} of {self.target.num_pods} pods exist"
        there += f", {num_old} of the old template" if num_old else ""
        return (f"{there} after {waited_s:.0f} s{self._why_no_pods()}",)

    def _why_no_pods(self) -> str:
        """Quote the last warning about the endpoint's own objects: quota, webhooks, admission."""
        try:
            events = self.cluster.list("v1", "Event", namespace=self.target.namespace)
        except ShardwrightError:
            return "; see the events of the workload"
        told = [
            each
            for each in events
            if each.get("type") == "Warning"
            and str(each["involvedObject"].get("name", "")).startswith(self.instance)
        ]
        if not told:
            return "; see the events of the workload"
        return f": {max(told, key=last_seen).get('message', '')}"

    def _workloads(self) -> tuple[Object, ...]:
        return tuple(each for version, kind in WATCHED for each in self._listed(version, kind))

    def _listed(self, api_version: str, kind: str) -> tuple[Object, ...]:
        namespace, labels = self.target.namespace, {INSTANCE: self.instance}
        try:
            return self.cluster.list(api_version, kind, namespace=namespace, labels=labels)
        except ShardwrightError as error:
            if error.code != "cluster-forbidden":
                raise
            return ()  # preflight has asked for the right where there is one of the kind

    def _replace_stale(
        self, workloads: tuple[Object, ...], pods: tuple[Object, ...]
    ) -> frozenset[str]:
        """Name pods that are replaced; delete those whose controller leaves that to us."""
        ours = stale_pods(workloads, pods)
        outdated = {
            each["metadata"]["name"]
            for each in pods
            if each["metadata"].get("uid") in self.outdated
        }
        for pod in pods:
            name = pod["metadata"]["name"]
            if name in ours or (name in outdated and _is_kept_by_its_owner(pod)):
                self.tell(Told(text=f"replacing {name}: its template changed"))
                # by its uid: its controller may have made another of its name meanwhile
                self.cluster.delete(reference(pod), uid=pod["metadata"]["uid"])
        return ours | outdated


def _is_kept_by_its_owner(pod: Object) -> bool:
    """A RayCluster keeps its pods whatever becomes of its template."""
    owners = pod["metadata"].get("ownerReferences", [])
    return any(each.get("kind") == "RayCluster" for each in owners)


def is_behind(workload: Object) -> bool:
    """Tell whether a controller has not yet done what its object says.

    >>> is_behind({"kind": "Deployment", "metadata": {"generation": 2},
    ...            "spec": {"replicas": 1}, "status": {"observedGeneration": 1}})
    True
    """
    status = workload.get("status", {})
    generation = workload["metadata"].get("generation")
    if generation is not None and status.get("observedGeneration", 0) < generation:
        return True
    if workload["kind"] != "Deployment" or "updatedReplicas" not in status:
        return False
    return bool(status["updatedReplicas"] < workload["spec"].get("replicas", 1))


def stale_pods(sets: tuple[Object, ...], pods: tuple[Object, ...]) -> frozenset[str]:
    """Name the pods of an older template whose StatefulSet updates on deletion only."""
    current = {
        each["metadata"]["uid"]: each["status"]["updateRevision"]
        for each in sets
        if each["kind"] == "StatefulSet"
        and each["spec"].get("updateStrategy", {}).get("type") == "OnDelete"
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
