"""Waits for jobs, tells how far they are in their own words, and says what went wrong with them.

Called by the rollout before it applies what holds GPUs, and by status.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shardwright.deploy.jobs import conditions
from shardwright.deploy.patience import until_told
from shardwright.deploy.progress import (
    UNSTARTED,
    PodProgress,
    Stage,
    pod_progress,
    stage_budgets,
    stuck,
)
from shardwright.deploy.target import Target, Tell, Told, Waiting
from shardwright.model.cluster import Cluster, Object, pods_of_job, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Clock

GRACE_S = 60.0
"""Seconds after a job's own deadline by which its controller has said that it failed."""
LOG_LINES = 50
"""Lines kept of what a job said last: its pod, and the log with it, goes when it gives up."""
LONGEST = 200


def finish(watches: Sequence[JobWatch], clock: Clock, tell: Tell) -> tuple[str, ...]:
    """Wait until every job is complete, or one will not be; return what is wrong with it."""
    left = list(watches)

    def look() -> tuple[str, ...] | None:
        for each in tuple(left):
            problems = each.look()
            if problems:
                return problems
            if problems is not None:
                left.remove(each)
        if not left:
            return ()
        tell(left[-1].waiting())
        return None

    return until_told(look, clock, tell)


def last_said(log: str) -> str:
    """Return the last line of a log; a progress bar writes several in one."""
    return re.split(r"[\r\n]+", log.strip())[-1][:LONGEST]


def log_of(cluster: Cluster, pod: Object) -> str:
    """Return the end of what a job's pod said; nothing where a role may not read it."""
    container = pod["spec"]["containers"][0]["name"]
    try:
        return cluster.logs(reference(pod), container, tail_lines=LOG_LINES)
    except ShardwrightError:
        return ""


class JobWatch:
    """One job, looked at until it is complete or will not be. log: the end of what it said."""

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
        self.log = ""
        self._pod: PodProgress | None = None
        self._is_alone = job["spec"].get("completions", 1) == 1
        self._since: dict[str, tuple[Stage, float]] = {}

    def look(self) -> tuple[str, ...] | None:
        """Look once: nothing is wrong and it is complete, this is wrong, or None: it goes on."""
        job = self.cluster.get(self.ref)
        if job is None:
            return (f"job {self.ref.name} was deleted while it was waited for",)
        held = conditions(job)
        now = self.clock.now()
        if "Complete" in held:
            if self._pod is not None:  # somebody has waited for it
                done = f"job {self.ref.name} is done after {now - self.began:.0f} s"
                self.tell(Told(text=f"{done}{self._last_word()}"))
            return ()
        if "Failed" in held:
            why = held["Failed"].get("message", "")
            return (f"job {self.ref.name} failed: {why}{self._last_word()}",)
        if now - self.began > self.limit_s:
            after = f"{now - self.began:.0f} s"
            return (f"job {self.ref.name} has not ended after {after}{self._last_word()}",)
        pods = self._pods(job, now)
        return self._stuck(pods, now) or None

    def waiting(self) -> Waiting:
        """Say what is waited for, in the job's own words where it has some."""
        after_s = self.clock.now() - self.began
        said, detail = last_said(self.log), self._pod.detail if self._pod else ""
        what = said if said.startswith("download: ") else f"job {self.ref.name}"
        return Waiting(
            what=f"{what}: {detail}" if detail else what,
            after_s=after_s,
            since_s=after_s,
            budget_s=self.limit_s - GRACE_S,
        )

    def _last_word(self) -> str:
        said = last_said(self.log)
        return f"; it said last: {said}" if said else ""

    def _pods(self, job: Object, now: float) -> dict[str, PodProgress]:
        """Read the pods of the job that have not ended; a failed one is the controller's affair."""
        pods = {}
        for each in pods_of_job(self.cluster, job):
            if each.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                continue
            pod = pod_progress(each)
            pods[pod.name] = pod
            self._pod = pod
            self._read(each, pod)
            if self._since.get(pod.name, (None, 0.0))[0] is not pod.stage:
                self._since[pod.name] = (pod.stage, now)
        return pods

    def _read(self, each: Object, pod: PodProgress) -> None:
        """Keep the end of the log of a job of one pod; those of many pods have nothing to say."""
        if not self._is_alone or pod.stage in UNSTARTED:
            return
        self.log = log_of(self.cluster, each) or self.log

    def _stuck(self, pods: dict[str, PodProgress], now: float) -> tuple[str, ...]:
        """Name pods that will not start; how long one may run is the job's own deadline."""
        starting = {n: p for n, p in pods.items() if p.stage in UNSTARTED}
        since = {name: began for name, (_, began) in self._since.items()}
        return stuck(
            starting, since, now, stage_budgets(self.target.budgets, self.target.schedule_s)
        )
