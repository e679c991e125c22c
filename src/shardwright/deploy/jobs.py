"""Waits for the jobs that must end before the pods after them can start, or should.

Keys that the cluster makes for itself: pods would wait for them in longer and longer steps of the
kubelet. Images pulled ahead: an update would stop what runs before the new image is there. A
download is not waited for here: the pods themselves hold back until it is complete.
"""

from __future__ import annotations

from shardwright.deploy.inventory import COMPONENT
from shardwright.deploy.patience import until_told
from shardwright.deploy.progress import (
    PodProgress,
    Stage,
    pod_progress,
    stage_budgets,
    stuck,
)
from shardwright.deploy.target import Target, Tell, Waiting
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.running import Clock

AWAITED = frozenset({"ssh-keys", "pre-pull"})
"""Components of jobs whose end the objects after them wait for."""
GRACE_S = 60.0
"""Seconds after a job's own deadline by which its controller has said that it failed."""


def is_awaited(obj: Object) -> bool:
    """Tell whether what comes after an object waits until it is done."""
    component = obj["metadata"].get("labels", {}).get(COMPONENT)
    return bool(obj["kind"] == "Job" and component in AWAITED)


class JobWatch:
    """One job, looked at until it is complete or will not be."""

    def __init__(
        self, cluster: Cluster, clock: Clock, target: Target, tell: Tell, job: Object
    ) -> None:
        self.cluster = cluster
        self.clock = clock
        self.target = target
        self.tell = tell
        self.ref = reference(job)
        self.began = clock.now()
        limit = job["spec"].get("activeDeadlineSeconds", target.budgets.image_pull_s)
        self.limit_s = limit + GRACE_S
        self._since: dict[str, tuple[Stage, float]] = {}

    def finish(self) -> tuple[str, ...]:
        """Wait for the end; return what is wrong if it is not a good one."""
        return until_told(self._look, self.clock, self.tell)

    def _look(self) -> tuple[str, ...] | None:
        job = self.cluster.get(self.ref)
        if job is None:
            return (f"job {self.ref.name} was deleted while it was waited for",)
        held = {
            each["type"]: each
            for each in job.get("status", {}).get("conditions", [])
            if each["status"] == "True"
        }
        if "Complete" in held:
            return ()
        if "Failed" in held:
            return (f"job {self.ref.name} failed: {held['Failed'].get('message', '')}",)
        now = self.clock.now()
        if now - self.began > self.limit_s:
            return (f"job {self.ref.name} has not ended after {now - self.began:.0f} s",)
        pods = self._pods(now)
        if problems := self._stuck(pods, now):
            return problems
        waits_for = next((f": {pod.detail}" for pod in pods.values() if pod.detail), "")
        after_s = now - self.began
        self.tell(
            Waiting(
                what=f"job {self.ref.name}{waits_for}",
                after_s=after_s,
                since_s=after_s,
                budget_s=self.limit_s - GRACE_S,
            )
        )
        return None

    def _pods(self, now: float) -> dict[str, PodProgress]:
        """Read the pods of the job that have not ended; a failed one is the controller's affair."""
        labels = {"batch.kubernetes.io/job-name": self.ref.name}
        found = self.cluster.list("v1", "Pod", namespace=self.ref.namespace, labels=labels)
        pods = {}
        for each in found:
            if each.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                continue
            pod = pod_progress(each)
            pods[pod.name] = pod
            if self._since.get(pod.name, (None, 0.0))[0] is not pod.stage:
                self._since[pod.name] = (pod.stage, now)
        return pods

    def _stuck(self, pods: dict[str, PodProgress], now: float) -> tuple[str, ...]:
        """Name pods that will not start; how long one may run is the job's own deadline."""
        starting = {n: p for n, p in pods.items() if p.stage in (Stage.SCHEDULING, Stage.IMAGE)}
        since = {name: began for name, (_, began) in self._since.items()}
        return stuck(
            starting, since, now, stage_budgets(self.target.budgets, self.target.schedule_s)
        )
