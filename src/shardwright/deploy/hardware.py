"""The sequence of a hardware check: apply its Job, wait within bounds, read the reports, remove it.

Called by `shardwright preflight --hardware`. What it applied is removed whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from shardwright.deploy.evidence import collect, diagnose
from shardwright.deploy.progress import pod_progress
from shardwright.diagnose.doctor import Report
from shardwright.model.cluster import Cluster, Object, ObjectRef, pods_of_job, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan, TaskKind
from shardwright.model.running import Clock
from shardwright.render.emit import plain
from shardwright.render.jobs import job, job_service
from shardwright.render.storage import config_object
from shardwright.verify.hardware import MemberSeen, read_member

POLL_S = 2.0
SCHEDULE_S = 300.0
"""Seconds the pods may wait for nodes, as when deploying."""
_INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a check. report: the doctor's word, where a pod did not report."""

    members: tuple[MemberSeen, ...]
    seconds: float
    problems: tuple[str, ...] = ()
    report: Report | None = None


def check_objects(plan: LaunchPlan) -> tuple[Object, ...]:
    """Render what a check applies: its scripts, the names of its pods, and its Job."""
    (task,) = plan.tasks
    objects = [
        *(config_object(plan, config) for config in plan.configs),
        job_service(plan, task),
        job(plan, task),
    ]
    return tuple(plain(each) for each in objects if each is not None)


def check_hardware(
    cluster: Cluster, clock: Clock, plan: LaunchPlan, tell: Callable[[str], None]
) -> Checked:
    """Run the check of a plan made by `hardware_check`; bounded by its task's deadline."""
    *others, wanted = check_objects(plan)
    began = clock.now()
    job = _created(cluster, wanted)
    try:
        for each in others:  # the pods wait for them
            cluster.apply(each)
        problems = _wait(cluster, clock, (plan, job), tell)
        pods = _pods(cluster, job)
        members = tuple(
            replace(seen, node=pod["spec"].get("nodeName") or seen.node)
            for pod in pods
            if (seen := read_member(_log(cluster, pod))) is not None
        )
        report = None
        if len(members) < plan.tasks[0].pods:
            report = diagnose(collect(cluster, pods, plan.namespace))
    finally:
        for each in (wanted, *reversed(others)):
            cluster.delete(reference(each))
    return Checked(members=members, seconds=clock.now() - began, problems=problems, report=report)


def _created(cluster: Cluster, job: Object) -> Object:
    """Create the Job, never apply it: of two checks begun at once, one would remove the other's."""
    try:
        return cluster.create(job)
    except ShardwrightError as error:
        if error.code != "object-exists":
            raise
        ref = reference(job)
        raise ShardwrightError(
            code="hardware-check-under-way",
            what=f"{ref} exists: another check runs, or one was cut off",
            remedy=f"wait for it, or kubectl -n {ref.namespace} delete job/{ref.name}",
        ) from error


def _wait(
    cluster: Cluster, clock: Clock, check: tuple[LaunchPlan, Object], tell: Callable[[str], None]
) -> tuple[str, ...]:
    """Wait until every pod ended; say why not if that does not happen in time."""
    plan, job = check
    (task,) = plan.tasks
    began = clock.now()
    seen: dict[str, str] = {}
    limit = SCHEDULE_S + (task.deadline_s or 0)
    while True:
        pods = _pods(cluster, job)
        phases = {pod["metadata"]["name"]: _phase(pod) for pod in pods}
        for name, phase in phases.items():
            if seen.get(name) != phase:
                tell(f"{clock.now() - began:6.0f} s  {name} {phase}")
        seen = phases
        ended = [p for p in pods if p["status"].get("phase") in ("Succeeded", "Failed")]
        if len(ended) == task.pods:
            return ()
        waited = clock.now() - began
        if any(p["status"].get("phase") == "Failed" for p in pods):
            return ("a pod of the check failed, so the others waited for it in vain",)
        unplaced = [p for p in pods if not p["spec"].get("nodeName")]
        if (unplaced or not pods) and waited > SCHEDULE_S:
            return (f"{len(unplaced) or task.pods} pods found no node in {SCHEDULE_S:.0f} s",)
        if waited > limit:
            return (f"{task.pods - len(ended)} pods did not end within {limit:.0f} s",)
        clock.sleep(POLL_S)


def _phase(pod: Object) -> str:
    """Say where a pod is: its phase, its node, and what holds it up."""
    progress = pod_progress(pod)
    parts = [str(pod["status"].get("phase", "Pending"))]
    parts += [f"on {progress.node}"] if progress.node else []
    parts += [progress.detail] if progress.detail else []
    return " ".join(parts)


def _pods(cluster: Cluster, job: Object) -> tuple[Object, ...]:
    pods = pods_of_job(cluster, job)
    return tuple(sorted(pods, key=lambda p: int(p["metadata"]["labels"].get(_INDEX, 0))))


def _log(cluster: Cluster, pod: Object) -> str:
    return cluster.logs(reference(pod), TaskKind.HARDWARE_CHECK.value, tail_lines=2000)


def claim_exists(cluster: Cluster, plan: LaunchPlan) -> bool:
    """Tell whether the claim of the weights is there to be read."""
    return bool(plan.claims) and all(
        cluster.get(
            ObjectRef(
                api_version="v1", kind="PersistentVolumeClaim", name=claim.name,
                namespace=plan.namespace,
            )
        )
        is not None
        for claim in plan.claims
    )  # fmt: skip
