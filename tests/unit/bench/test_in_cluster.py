"""A bench as a Job: results, images that cannot be pulled, outages, interrupts."""

import json
from pathlib import Path

import pytest
from tests.unit.bench.llama_endpoint import AIPERF, SCENARIO, TARGET, VLLM, endpoint, pod, service

from shardwright.bench.failure import all_failed, is_about_model, model_not_served
from shardwright.bench.in_cluster import JobTool
from shardwright.bench.pods.send_load import END, PROGRESS, packed
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import ObjectRef
from shardwright.model.errors import ShardwrightError


class Clock:
    def __init__(self):
        self.at = 0.0

    def now(self):
        return self.at

    def sleep(self, duration_s):
        self.at += duration_s


def cluster_that(answer):
    """A cluster whose Jobs get a pod at once, as `answer` has it."""
    cluster = MemoryCluster(service(), pod())

    def on_apply(obj):
        if obj["kind"] == "Job":
            name = obj["metadata"]["name"]
            image = obj["spec"]["template"]["spec"]["containers"][0]["image"]
            status, log = answer(image)
            labels = {"batch.kubernetes.io/job-name": name}
            meta = {"name": f"{name}-x", "namespace": "ml", "labels": labels}
            cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": status})
            cluster.container_logs[f"{name}-x", "bench"] = log

    def delete(ref):
        found = cluster.objects.pop(ref, None) is not None
        if ref.kind == "Job":
            cluster.objects.pop(
                ObjectRef(api_version="v1", kind="Pod", name=f"{ref.name}-x", namespace="ml"), None
            )
        return found

    cluster.on_apply, cluster.delete = on_apply, delete
    return cluster


def tool(cluster, folder, *tools):
    return JobTool(
        cluster=cluster, clock=Clock(), endpoint=endpoint(), tools=tools, folder=folder,
        say=lambda line: None, show=lambda line: None,
    )  # fmt: skip


def result():
    return "\n".join([*packed("vllm-bench.json", b'{"x": 1}'), f"{END} 0 1"])


def test_without_the_load_tools_image_the_engines_own_is_used(tmp_path):
    def answer(image):
        if image == AIPERF.image:
            waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
            return {"phase": "Pending", "containerStatuses": [waiting]}, ""
        return {"phase": "Succeeded"}, result()

    cluster = cluster_that(answer)
    files = tool(cluster, tmp_path, AIPERF, VLLM).run(SCENARIO, TARGET, "run")
    assert files.summary == '{"x": 1}'
    assert (tmp_path / "run" / "vllm-bench.json").read_text() == '{"x": 1}'
    left = {ref.kind for ref in cluster.objects if "bench" in ref.name}
    assert left == set()
    with pytest.raises(ShardwrightError) as missing:
        tool(cluster, tmp_path, AIPERF).run(SCENARIO, TARGET, "run")
    assert missing.value.code == "bench-image-missing"


@pytest.mark.parametrize(
    ("status", "log", "code"),
    [
        ({"phase": "Failed"}, "Error: no route", "load-tool-failed"),
        ({"phase": "Succeeded"}, f"ValueError: tokenizer\n{END} 1 0", "load-tool-failed"),
        ({"phase": "Succeeded"}, f"the end of a long log\n{END} 0 7", "bench-log-cut"),
        ({"phase": "Pending"}, "", "bench-not-started"),
    ],
)
def test_a_load_that_fails_says_why_and_leaves_nothing(tmp_path, status, log, code):
    cluster = cluster_that(lambda image: (status, log))
    with pytest.raises(ShardwrightError) as caught:
        tool(cluster, tmp_path, VLLM).run(SCENARIO, TARGET, "run")
    assert caught.value.code == code
    assert not [ref for ref in cluster.objects if "bench" in ref.name]


def kept(records=()):
    lines = "\n".join(json.dumps(r) for r in records)
    packs = packed("profile_export.jsonl", lines.encode())
    return "\n".join([*packs, f"{END} 1 {len(packs)}"])


def test_a_model_that_is_not_served_is_named_from_the_answers(tmp_path):
    said = {"error": {"message": "The model `m` does not exist.", "code": 404}}
    record = {"metadata": {}, "error": {"code": 404, "message": json.dumps(said)}}
    cluster = cluster_that(lambda image: ({"phase": "Succeeded"}, kept([record, record])))
    with pytest.raises(ShardwrightError) as caught:
        tool(cluster, tmp_path, AIPERF).run(SCENARIO, TARGET, "run")
    assert caught.value.details == ("404: The model `m` does not exist. (2 times)",)
    assert is_about_model(caught.value, "m")
    assert not is_about_model(caught.value, "other")
    # one good request: the load failed for another reason
    assert all_failed("\n".join(map(json.dumps, [record, {"metadata": {}}]))) is None
    error = model_not_served("m", ("other",))
    assert error.what == "the endpoint does not serve m; it serves other"


def test_what_is_left_of_a_load_removes_itself():
    cluster = cluster_that(lambda image: ({"phase": "Succeeded"}, result()))
    seen = []
    inner = cluster.on_apply

    def on_apply(obj):
        seen.append(obj)
        inner(obj)

    cluster.on_apply = on_apply
    tool(cluster, Path("/nowhere"), VLLM)._run(VLLM, SCENARIO, TARGET, "run")
    job = next(o for o in seen if o["kind"] == "Job")
    assert 0 < job["spec"]["ttlSecondsAfterFinished"] <= 3600
    owner = seen[-1]["metadata"]["ownerReferences"][0]
    assert (seen[-1]["kind"], owner["kind"], owner["uid"]) == (
        "ConfigMap", "Job", job["metadata"]["uid"],
    )  # fmt: skip


def test_a_pod_that_does_not_end_is_waited_for_a_minute_and_then_said(tmp_path):
    cluster = cluster_that(lambda image: ({"phase": "Succeeded"}, result()))
    cluster.delete = lambda ref: True  # as on a node that is lost
    said = []
    job = tool(cluster, tmp_path, VLLM)
    job.say = said.append
    cluster.put({"apiVersion": "batch/v1", "kind": "Job",
                 "metadata": {"name": "llama-bench-run", "namespace": "ml"}})  # fmt: skip
    with pytest.raises(ShardwrightError) as caught:
        job.run(SCENARIO, TARGET, "run")
    assert caught.value.code == "bench-left-over"
    assert job.clock.now() <= 200
    assert "kubectl delete job,configmap llama-bench-run -n ml" in said[-1]


def unreachable():
    return ShardwrightError(code="cluster-unreachable", what="https://a does not answer")


@pytest.mark.parametrize("away_s", [30, 1000])
def test_an_api_server_that_is_away_is_waited_for_and_no_longer_than_it_is_worth(tmp_path, away_s):
    cluster = cluster_that(lambda image: ({"phase": "Succeeded"}, result()))
    job, said = tool(cluster, tmp_path, VLLM), []
    job.say = said.append
    whole, began = cluster.list, []

    def listed(*args, **labels):
        if cluster.objects and any(ref.kind == "Job" for ref in cluster.objects):
            began.append(job.clock.now())
            if job.clock.now() - began[0] < away_s:
                raise unreachable()
        return whole(*args, **labels)

    cluster.list = listed
    if away_s == 30:
        assert job.run(SCENARIO, TARGET, "run").summary == '{"x": 1}'
    else:
        with pytest.raises(ShardwrightError) as caught:
            job.run(SCENARIO, TARGET, "run")
        assert caught.value.code == "cluster-unreachable"
    assert sum("waiting up to" in line for line in said) == 1


def test_an_interrupt_removes_the_load_first(tmp_path):
    cluster = cluster_that(lambda image: ({"phase": "Running"}, ""))
    job = tool(cluster, tmp_path, VLLM)

    def interrupted(duration_s):
        raise KeyboardInterrupt

    job.clock.sleep = interrupted
    with pytest.raises(KeyboardInterrupt):
        job.run(SCENARIO, TARGET, "run")
    assert not [ref for ref in cluster.objects if "bench" in ref.name]


def test_one_who_waits_is_told_how_far_the_load_is(tmp_path):
    log = f"{PROGRESS} warmup 2 0\n{PROGRESS} profiling 31 4\n"
    cluster = cluster_that(lambda image: ({"phase": "Pending"}, log))
    job, shown = tool(cluster, tmp_path, AIPERF), []
    job.show = shown.append
    states = iter([
        {"phase": "Pending", "containerStatuses": [
            {"state": {"waiting": {"reason": "ContainerCreating"}}}]},
        {"phase": "Running"},
        {"phase": "Succeeded"},
    ])  # fmt: skip

    def sleep(duration_s):
        ref = ObjectRef(api_version="v1", kind="Pod", name="llama-bench-run-x", namespace="ml")
        state = next(states, None)
        if state and ref in cluster.objects:
            cluster.objects[ref]["status"] = state
        if state == {"phase": "Succeeded"}:
            packs = [*packed("profile_export_aiperf.json", b"{}"), f"{END} 0 1"]
            cluster.container_logs[ref.name, "bench"] = log + "\n".join(packs)

    job.clock.sleep = sleep
    assert job.run(SCENARIO, TARGET, "run").summary == "{}"
    assert shown == [
        "  the pod is Pending",
        "  the pod is ContainerCreating",
        "  31 of 60 requests answered, 4 failed",
        "",
    ]
