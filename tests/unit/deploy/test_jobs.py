"""Jobs that the objects after them wait for: keys, and images pulled ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.inventory import Inventory
from shardwright.deploy.jobs import steps
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.status import endpoint_status
from shardwright.deploy.target import Event, Target, Told, Waiting
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object, reference
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
        self.pods_after_s = 0.0
        self.applied: list[str] = []
        self.then: Callable[[], object] = lambda: None
        cluster.on_apply = self._applied

    def _applied(self, obj: Object) -> None:
        if obj["kind"] != "ConfigMap":
            self.applied.append(obj["metadata"]["name"])
        if obj["kind"] == "StatefulSet":
            self.workload_at = self.time
        self._make_pods()

    def _make_pods(self) -> None:
        if self.workload_at is not None and self.time >= self.workload_at + self.pods_after_s:
            self.cluster.put(an_object("v1", "Pod", "llama-0") | {"status": READY})

    def now(self) -> float:
        return self.time

    def sleep(self, duration_s: float) -> None:
        self.time += duration_s
        if self.statuses:
            self.cluster.put({**self.job, "status": self.statuses.pop(0)})
        self._make_pods()
        self.then()


def deploy(
    cluster: MemoryCluster, clock: Controller, *objects: Object, told: list[Event] | None = None
) -> Outcome:
    changes = planned_changes(cluster, TARGET, objects)
    tell = (lambda _: None) if told is None else told.append
    return Rollout(cluster, clock, TARGET, tell).deploy(objects, changes)


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.mark.parametrize("component", ["ssh-keys", "pre-pull", "download", "engine-build"])
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


def a_pod(job: Object, component: str, container: Object | None = None) -> Object:
    name = job["metadata"]["name"]
    pod = an_object(
        "v1", "Pod", f"{name}-x", component, containers=[{"name": component, "image": "vllm:1"}]
    )
    pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] = name
    running = container or {"name": component, "state": {"running": {}}}
    status = {"conditions": READY["conditions"][:1], "containerStatuses": [running]}
    return pod | {"status": status}


def test_a_download_tells_bytes_and_rate_in_its_own_words(cluster: MemoryCluster) -> None:
    job = a_job("download")
    cluster.put(a_pod(job, "download"))
    cluster.container_logs["llama-download-x", "download"] = (
        "download: 1.0 of 8.0 GB, 310 MB/s\ndownload: 4.1 of 8.0 GB, 310 MB/s\n"
    )
    told: list[Event] = []
    clock = Controller(cluster, job, {"active": 1}, COMPLETE)
    assert deploy(cluster, clock, job, WORKLOAD, told=told).result is Result.READY
    waits = [each for each in told if isinstance(each, Waiting)]
    assert [(each.what, each.budget_s) for each in waits] == [
        ("download: 4.1 of 8.0 GB, 310 MB/s", 400),
        ("download: 4.1 of 8.0 GB, 310 MB/s", 400),
    ]
    said = [each.text for each in told if isinstance(each, Told)]
    assert said == [
        "job llama-download is done after 4 s; it said last: download: 4.1 of 8.0 GB, 310 MB/s"
    ]


def test_what_a_failed_download_said_last_is_kept_when_its_pod_is_gone(
    cluster: MemoryCluster,
) -> None:
    job = a_job("download")
    cluster.put(a_pod(job, "download"))
    log = "downloading\nGatedRepoError: 403 denied\n"
    cluster.container_logs["llama-download-x", "download"] = log
    clock = Controller(cluster, job, {"active": 1}, GAVE_UP)
    clock.then = cluster.container_logs.clear
    outcome = deploy(cluster, clock, job, WORKLOAD)
    assert outcome.problems == (
        "job llama-download failed: DeadlineExceeded; it said last: GatedRepoError: 403 denied",
    )
    assert outcome.evidence["llama-download.log"] == log
    assert clock.workload_at is None


def test_jobs_run_side_by_side_but_one_that_takes_gpus_runs_after_the_others(
    cluster: MemoryCluster,
) -> None:
    jobs = [a_job(each) for each in ("pre-pull", "download", "engine-build")]
    applied: list[tuple[float, str]] = []
    clock = Controller(cluster, jobs[0])
    put = cluster.on_apply

    def on_apply(obj: Object) -> None:
        applied.append((clock.time, obj["metadata"]["name"]))
        put(obj)

    def ended() -> None:
        for each, at in zip(jobs, (8, 4, 20), strict=True):
            if clock.time >= at and cluster.get(reference(each)) is not None:
                cluster.put({**each, "status": COMPLETE})

    cluster.on_apply, clock.then = on_apply, ended
    assert deploy(cluster, clock, *jobs, WORKLOAD).result is Result.READY
    assert [each for each in applied if "inventory" not in each[1]] == [
        (0, "llama-pre-pull"), (0, "llama-download"), (8, "llama-engine-build"), (20, "llama"),
    ]  # fmt: skip


def test_time_that_a_job_took_is_not_counted_against_the_pods(cluster: MemoryCluster) -> None:
    """The pods may take as long as ever to be created, however long the download was."""
    job = a_job("download")
    clock = Controller(cluster, job, *[{"active": 1}] * 180, COMPLETE)  # 362 s; a pod may take 300
    clock.pods_after_s = 20
    assert deploy(cluster, clock, job, WORKLOAD).result is Result.READY
    assert clock.workload_at == 362


def test_a_job_that_gave_up_is_made_anew_by_the_next_deploy(cluster: MemoryCluster) -> None:
    job = a_job("download")
    cluster.put({**job, "status": GAVE_UP})
    clock = Controller(cluster, job, {"active": 1}, COMPLETE)
    assert deploy(cluster, clock, job, WORKLOAD).result is Result.READY
    assert clock.workload_at == 4


def test_on_the_way_back_weights_are_fetched_again_that_another_revision_replaced(
    cluster: MemoryCluster,
) -> None:
    first, second = a_job("download"), a_job("download")
    second["metadata"]["name"] = "llama-download-next"
    clock = Controller(cluster, first, COMPLETE)
    assert deploy(cluster, clock, first, WORKLOAD).result is Result.READY
    clock.applied.clear()
    clock.job, clock.statuses = second, [GAVE_UP]
    clock.then = lambda: (
        cluster.get(reference(first)) and cluster.put({**first, "status": COMPLETE})
    )
    outcome = deploy(cluster, clock, second, WORKLOAD)
    assert (outcome.result, outcome.rolled_back_to) == (Result.FAILED, 1)
    assert clock.applied == ["llama-download-next", "llama-download"]
    assert cluster.get(reference(second)) is None


def test_status_tells_how_far_the_jobs_of_a_pending_deployment_are(
    cluster: MemoryCluster,
) -> None:
    jobs = [a_job(each) for each in ("pre-pull", "download", "ssh-keys")]
    for job, status in zip(jobs, (COMPLETE, {"active": 1}, {}), strict=True):
        cluster.put({**job, "status": status})
    cluster.put(a_pod(jobs[1], "download"))
    log = "download: 1.0 of 8.0 GB, 310.0 MB/s\rdownload: 4.1 of 8.0 GB, 310.0 MB/s\r\n"
    cluster.container_logs["llama-download-x", "download"] = log
    pending = Inventory(name="llama", namespace="ml", pending=True)
    assert [(each.name, each.words) for each in endpoint_status(cluster, pending).jobs] == [
        ("llama-download", "download: 4.1 of 8.0 GB, 310.0 MB/s"),
        ("llama-ssh-keys", "runs"),
    ]
    assert endpoint_status(cluster, replace(pending, pending=False)).jobs == ()


def test_the_steps_are_said_before(cluster: MemoryCluster) -> None:
    objects = (a_job("pre-pull"), a_job("download"), WORKLOAD)
    assert steps(objects, planned_changes(cluster, TARGET, objects)) == (
        "first   Job/llama-pre-pull pulls the images, in at most 400 s",
        "first   Job/llama-download fetches the weights, in at most 400 s",
        "then    StatefulSet/llama: no pod of it holds a GPU before",
    )
    for each in objects[:2]:
        cluster.apply(each)
    assert steps(objects, planned_changes(cluster, TARGET, objects)) == ()


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


def test_a_pod_of_the_job_before_is_not_held_against_the_one_of_its_name(
    cluster: MemoryCluster,
) -> None:
    """A Job that was replaced for its image: what it made is ended in the background."""
    job = a_job("download")
    waiting = {"name": "download", "state": {"waiting": {"reason": "InvalidImageName"}}}
    pod = a_pod(job, "download", waiting)
    pod["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "llama-download", "uid": "old"}]
    cluster.put(pod)
    clock = Controller(cluster, job, {"active": 1}, COMPLETE)
    assert deploy(cluster, clock, job, WORKLOAD).result is Result.READY


def test_a_job_that_nothing_runs_ends_after_its_own_deadline(cluster: MemoryCluster) -> None:
    clock = Controller(cluster, a_job("pre-pull"))
    outcome = deploy(cluster, clock, a_job("pre-pull"), WORKLOAD)
    assert outcome.problems == ("job llama-pre-pull has not ended after 462 s",)
