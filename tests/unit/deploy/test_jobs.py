"""Jobs that the objects after them wait for: keys, and images pulled ahead."""

from __future__ import annotations

from typing import Any

import pytest

from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.target import Event, Target, Waiting
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object
from shardwright.model.launch import Budgets

BUDGETS = Budgets(
    image_pull_s=100, download_s=200, rendezvous_s=30, load_s=100, compile_s=0, graphs_s=0,
    startup_s=300, engine_ready_s=300, distributed_timeout_s=300, drain_s=10,
)  # fmt: skip
TARGET = Target(name="llama", namespace="ml", num_pods=1, budgets=BUDGETS)
READY = {"conditions": [{"type": t, "status": "True"} for t in ("PodScheduled", "Ready")]}
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
GAVE_UP = {"conditions": [{"type": "Failed", "status": "True", "message": "DeadlineExceeded"}]}


def an_object(
    api_version: str, kind: str, name: str, component: str = "serving", **spec: Any
) -> Object:
    labels = {
        "app.kubernetes.io/managed-by": "shardwright",
        "app.kubernetes.io/instance": "llama",
        "app.kubernetes.io/component": component,
    }
    meta = {"name": name, "namespace": "ml", "labels": labels}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec}


def a_job(component: str) -> Object:
    return an_object("batch/v1", "Job", f"llama-{component}", component, activeDeadlineSeconds=400)


WORKLOAD = an_object("apps/v1", "StatefulSet", "llama", replicas=1)


class Controller:
    """A clock whose sleeps bring the job to its next status, and pods once there is a workload."""

    def __init__(self, cluster: MemoryCluster, job: Object, *statuses: Object) -> None:
        self.cluster = cluster
        self.job = job
        self.statuses = list(statuses)
        self.time = 0.0
        self.workload_at: float | None = None
        cluster.on_apply = self._applied

    def _applied(self, obj: Object) -> None:
        if obj["kind"] == "StatefulSet":
            self.workload_at = self.time
            self.cluster.put(an_object("v1", "Pod", "llama-0") | {"status": READY})

    def now(self) -> float:
        return self.time

    def sleep(self, duration_s: float) -> None:
        self.time += duration_s
        if self.statuses:
            self.cluster.put({**self.job, "status": self.statuses.pop(0)})


def deploy(
    cluster: MemoryCluster, clock: Controller, *objects: Object, told: list[Event] | None = None
) -> Outcome:
    changes = planned_changes(cluster, TARGET, objects)
    tell = (lambda _: None) if told is None else told.append
    return Rollout(cluster, clock, TARGET, tell).deploy(objects, changes)


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.mark.parametrize("component", ["ssh-keys", "pre-pull"])
def test_workload_is_applied_once_the_job_is_complete(
    cluster: MemoryCluster, component: str
) -> None:
    job = a_job(component)
    clock = Controller(cluster, job, {"active": 1}, {"active": 1}, COMPLETE)
    told: list[Event] = []
    assert deploy(cluster, clock, job, WORKLOAD, told=told).result is Result.READY
    assert clock.workload_at == 6
    waits = [each for each in told if isinstance(each, Waiting)]
    assert [each.what for each in waits] == [f"job llama-{component}"] * 3
    assert waits[0].budget_s == 400


def test_a_job_that_was_complete_before_is_not_waited_for(cluster: MemoryCluster) -> None:
    job = a_job("ssh-keys")
    cluster.put({**job, "status": COMPLETE})
    clock = Controller(cluster, job)
    assert deploy(cluster, clock, job, WORKLOAD).result is Result.READY
    assert clock.workload_at == 0


def test_a_download_runs_beside_the_pods_that_wait_for_it(cluster: MemoryCluster) -> None:
    job = a_job("download")
    clock = Controller(cluster, job)
    assert deploy(cluster, clock, job, WORKLOAD).result is Result.READY
    assert clock.workload_at == 0


def test_a_job_that_fails_keeps_the_workload_from_being_touched(cluster: MemoryCluster) -> None:
    job = a_job("pre-pull")
    clock = Controller(cluster, job, {"active": 1}, GAVE_UP)
    outcome = deploy(cluster, clock, job, WORKLOAD)
    assert outcome.result is Result.FAILED
    assert outcome.problems == ("job llama-pre-pull failed: DeadlineExceeded",)
    assert clock.workload_at is None


def test_an_image_that_cannot_be_pulled_ends_the_wait_early(cluster: MemoryCluster) -> None:
    job = a_job("pre-pull")
    clock = Controller(cluster, job)
    waiting = {"reason": "ErrImagePull", "message": "not found"}
    pod = an_object("v1", "Pod", "llama-pre-pull-x", "pre-pull")
    pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] = "llama-pre-pull"
    status = {
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "image-0", "state": {"waiting": waiting}}],
    }
    cluster.put(pod | {"status": status})
    outcome = deploy(cluster, clock, job, WORKLOAD)
    assert outcome.problems == (
        "llama-pre-pull-x: image for 62 s, budget 60 s; ErrImagePull: not found",
    )


def test_a_job_that_nothing_runs_ends_after_its_own_deadline(cluster: MemoryCluster) -> None:
    clock = Controller(cluster, a_job("pre-pull"))
    outcome = deploy(cluster, clock, a_job("pre-pull"), WORKLOAD)
    assert outcome.problems == ("job llama-pre-pull has not ended after 462 s",)
