"""A hardware check against an API server in memory: what is applied, waited for and removed."""

from pathlib import Path

import pytest

from shardwright import shape
from shardwright.deploy.hardware import POLL_S, check_hardware, check_objects
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.launch.build import build_launch_plan
from shardwright.launch.hardware import hardware_check
from shardwright.model.errors import ShardwrightError
from shardwright.model.volumes import VolumeKind
from shardwright.planner.plan import make_plan
from shardwright.spec.load import load

ROOT = Path(__file__).parents[3]
REPORTS = (ROOT / "tests/data/hardware/h100-pair.txt").read_text().splitlines()


class Clock:
    """Time that passes only when waited for."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


def planned(**options):
    text = (ROOT / "examples/llama-3.1-405b.yaml").read_text()
    request = load(text, "spec.yaml").request
    model = shape.load(request.model.id)
    return hardware_check(build_launch_plan(request, model, make_plan(request, model)), **options)


def cluster_that_runs(plan, phases, logs):
    """Give the Job's pods as its controller would, ended in these phases."""
    cluster = MemoryCluster()

    def run(obj):
        if obj["kind"] != "Job":
            return
        for index, (phase, log) in enumerate(zip(phases, logs, strict=True)):
            name = f"{obj['metadata']['name']}-{index}"
            labels = {
                "batch.kubernetes.io/job-name": obj["metadata"]["name"],
                "batch.kubernetes.io/job-completion-index": str(index),
            }
            cluster.container_logs[(name, "hardware-check")] = log
            cluster.put({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": plan.namespace, "labels": labels},
                "spec": {"nodeName": f"gpu-{index}", "containers": [{"name": "hardware-check"}]},
                "status": {"phase": phase},
            })  # fmt: skip

    cluster.on_apply = run
    return cluster


def check(cluster, plan):
    told = []
    return check_hardware(cluster, Clock(), plan, told.append), told


def test_pods_ask_for_what_the_members_ask_for():
    plan = planned()
    config, service, job = check_objects(plan)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert [o["kind"] for o in (config, service, job)] == ["ConfigMap", "Service", "Job"]
    assert (job["spec"]["completions"], job["spec"]["backoffLimit"]) == (2, 0)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert container["resources"]["limits"]["rdma/ib"] == "1"
    assert {m["mountPath"] for m in container["volumeMounts"]} >= {"/dev/shm", "/models"}
    assert job["spec"]["activeDeadlineSeconds"] >= 240
    words = container["command"]
    host = f"{job['metadata']['name']}-1.{job['metadata']['name']}.{plan.namespace}.svc"
    assert words[words.index("--leader") + 1] == host.replace("-1.", "-0.")
    assert host in words
    assert words[words.index("--member") + 1] == "$(JOB_COMPLETION_INDEX)"
    assert set(config["data"]) == {"hardware_probe.py", "collective_probe.py"}


def test_a_check_without_gpus_asks_for_none():
    plan = planned(cpu_ranks=2, has_claim=False)
    _, _, job = check_objects(plan)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert set(container["resources"]["limits"]) == {"memory"}
    assert container["command"][-1] == "--cpu"
    assert VolumeKind.CLAIM not in {m.kind for m in plan.tasks[0].mounts}


def test_reports_are_read_by_node_and_everything_is_removed():
    plan = planned()
    cluster = cluster_that_runs(plan, ["Succeeded"] * 2, REPORTS)
    checked, told = check(cluster, plan)
    assert [(m.member, m.node) for m in checked.members] == [(0, "gpu-0"), (1, "gpu-1")]
    assert (checked.problems, checked.report) == ((), None)
    assert "Succeeded on gpu-0" in told[0]
    assert not [r for r in cluster.objects if r.kind in {"Job", "Service", "ConfigMap"}]


def test_what_a_check_just_before_measured_is_not_taken_for_this_ones():
    """A Job's pods are ended in the background, and the next check has the same name."""
    plan = planned()
    cluster = cluster_that_runs(plan, ["Succeeded"] * 2, REPORTS)
    start, cluster.on_apply = cluster.on_apply, lambda obj: None
    job = check_objects(plan)[-1]
    start(job)
    for each in cluster.objects.values():
        each["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "x", "uid": "earlier"}]
    clock = Clock()
    clock.sleep = lambda seconds: (Clock.sleep(clock, seconds), start(job))
    checked = check_hardware(cluster, clock, plan, lambda line: None)
    assert checked.seconds == POLL_S
    assert [m.node for m in checked.members] == ["gpu-0", "gpu-1"]


def test_a_pod_that_fails_ends_the_wait_and_its_log_goes_to_the_doctor():
    plan = planned()
    log = "python3: can't open file\nRuntimeError: No CUDA GPUs are available\n"
    cluster = cluster_that_runs(plan, ["Failed", "Running"], [log, ""])
    checked, _ = check(cluster, plan)
    assert checked.problems == ("a pod of the check failed, so the others waited for it in vain",)
    assert checked.report.findings[0].code == "gpu-not-visible"
    assert not [r for r in cluster.objects if r.kind == "Job"]


def test_pods_that_never_end_are_given_up_after_the_deadline():
    plan = planned()
    clock = Clock()
    cluster = cluster_that_runs(plan, ["Running", "Running"], ["", ""])
    checked = check_hardware(cluster, clock, plan, lambda line: None)
    assert "did not end within" in checked.problems[0]
    assert clock.seconds <= 300 + plan.tasks[0].deadline_s + 4


def test_a_second_check_of_the_same_spec_is_refused():
    plan = planned()
    cluster = MemoryCluster(check_objects(plan)[-1])
    with pytest.raises(ShardwrightError, match="hardware-check-under-way"):
        check(cluster, plan)


def test_of_two_checks_begun_at_once_the_second_leaves_the_firsts_job_alone(monkeypatch):
    plan = planned()
    job = check_objects(plan)[-1]
    cluster = MemoryCluster(job)
    monkeypatch.setattr(cluster, "get", lambda ref: None)  # what it saw before the first began
    with pytest.raises(ShardwrightError, match="hardware-check-under-way"):
        check(cluster, plan)
    assert [ref.kind for ref in cluster.objects] == ["Job"]
