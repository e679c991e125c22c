"""A bench as a Job: endpoint, objects, results through the log, images that cannot be pulled."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from shardwright.bench.aiperf import Target
from shardwright.bench.endpoint import engine_version, find_dcgm, find_endpoint, served_models
from shardwright.bench.failure import all_failed, is_about_model, model_not_served
from shardwright.bench.in_cluster import JobTool
from shardwright.bench.job import PodTool, job_objects
from shardwright.bench.pods import send_load
from shardwright.bench.pods.send_load import END, packed, unpacked
from shardwright.bench.scenario import Scenario
from shardwright.bench.vllm_bench import vllm_bench_argv
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Reply

DATA = Path(__file__).parents[2] / "data" / "bench"
LABELS = {"app.kubernetes.io/instance": "llama", "app.kubernetes.io/component": "serving"}
AIPERF = PodTool(name="aiperf", image="corp.example/aiperf:1")
VLLM = PodTool(name="vllm", image="vllm/vllm-openai:v0.33.0")
SCENARIO = Scenario(
    concurrency=4, requests_per_s=None, input_tokens=100, output_tokens=10, prefix_tokens=40,
    num_requests=60, num_warmup=4, input_stddev=20.0,
)  # fmt: skip


def service(name="llama", **spec):
    spec = {"clusterIP": "10.0.0.1", "selector": {"role": "leader"},
            "ports": [{"name": "http", "port": 8000}], **spec}  # fmt: skip
    meta = {"name": name, "namespace": "ml", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def pod(name="llama-0", ready=True, role="leader"):
    times = {"PodScheduled": "12:00:05Z", "Initialized": "12:01:00Z", "Ready": "12:03:00Z"}
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": f"2026-11-26T{at}"}
        for kind, at in times.items()
        if ready or kind != "Ready"
    ]
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "command": ["vllm", "serve", "/models/meta/llama"],
        "args": ["--served-model-name", "meta/llama"],
        "env": [{"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "k", "key": "a"}}}],
        "volumeMounts": [
            {"name": "models", "mountPath": "/models"}, {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "ml", "labels": {**LABELS, "role": role},
            "creationTimestamp": "2026-11-26T12:00:00Z",
        },
        "spec": {
            "nodeName": "gpu-1", "containers": [container],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "m"}},
                        {"name": "shm", "emptyDir": {}}],
        },
        "status": {"conditions": conditions},
    }  # fmt: skip


def endpoint():
    return find_endpoint(MemoryCluster(service(), pod()), "llama", "ml")


def test_an_endpoint_is_found_with_all_that_a_load_needs():
    found = endpoint()
    assert found.url == "http://llama.ml.svc:8000"
    assert (found.model, found.weights) == ("meta/llama", "/models/meta/llama")
    assert [v["name"] for v in found.volumes] == ["models"]
    assert found.mounts == ({"name": "models", "mountPath": "/models", "readOnly": True},)
    # 5 s to a node, 55 s of init containers, 120 s to ready
    assert [(s.start_s, s.end_s) for s in found.startup] == [(0, 5), (5, 60), (60, 180)]


def test_an_endpoint_that_is_not_there_or_not_ready_is_said():
    with pytest.raises(ShardwrightError) as none:
        find_endpoint(MemoryCluster(), "llama", "ml")
    assert none.value.code == "endpoint-not-found"
    with pytest.raises(ShardwrightError) as early:
        find_endpoint(MemoryCluster(service(), pod(ready=False)), "llama", "ml")
    assert early.value.code == "endpoint-not-ready"


def test_a_dcgm_exporter_is_found_by_its_label():
    exporter = service("exporter", ports=[{"port": 9400}])
    exporter["metadata"]["labels"] = {"app": "nvidia-dcgm-exporter"}
    assert find_dcgm(MemoryCluster(exporter)) == "http://exporter.ml.svc:9400/metrics"
    assert find_dcgm(MemoryCluster(service())) is None


def test_the_job_is_plain_and_holds_no_key():
    target = Target(
        url="http://llama.ml.svc:8000", model="m", tokenizer="/models/x", has_api_key=True
    )
    config, job = job_objects("llama-bench-run", AIPERF, endpoint(), SCENARIO, target, None)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["spec"]["backoffLimit"] == 0
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "corp.example/aiperf:1"
    key = next(e for e in container["env"] if e["name"] == "SHARDWRIGHT_API_KEY")
    assert key["valueFrom"]["secretKeyRef"] == {"name": "k", "key": "a"}
    asked = json.loads(config["data"]["load.json"])
    sent = json.loads(asked["files"]["aiperf.json"])["benchmark"]
    assert sent["endpoint"]["urls"] == ["http://llama.ml.svc:8000"]
    assert sent["datasets"][0]["prompts"]["isl"] == {"mean": 60, "stddev": 20.0}


def test_vllm_bench_gets_the_same_load():
    argv = vllm_bench_argv(SCENARIO, Target(url="http://h:1", model="m", tokenizer="/t"), "/out")
    pairs = dict(pairwise(argv))
    assert pairs["--random-input-len"] == "60"
    assert pairs["--random-prefix-len"] == "40"
    assert pairs["--max-concurrency"] == "4"
    # a uniform range of deviation 20 around 100 is 20 x sqrt(3) = 34.6 wide on each side
    assert float(pairs["--random-range-ratio"]) == pytest.approx(0.346, abs=1e-3)


def test_a_trace_for_vllm_bench_is_of_tokens_and_has_every_prompt_in_blocks():
    replay = replace(SCENARIO, concurrency=None, trace="/t/trace.jsonl")
    argv = vllm_bench_argv(replay, Target(url="http://h:1", model="m", tokenizer="/t"), "/out")
    pairs = dict(pairwise(argv))
    # it refuses token ids for chats, and takes 16 tokens a block where Mooncake's have 512
    assert (pairs["--backend"], pairs["--endpoint"]) == ("openai", "/v1/completions")
    assert pairs["--timed-trace-chunk-hash-size"] == "512"
    lines = ['{"timestamp": 0, "input_length": 1024, "output_length": 8}',
             '{"timestamp": 5, "input_length": 10, "output_length": 8, "hash_ids": [7]}',
             '{"timestamp": 9, "input_length": 1, "output_length": 8}']  # fmt: skip
    config, _ = job_objects("n", VLLM, endpoint(), replay, TARGET, "\n".join(lines))
    sent = json.loads(config["data"]["load.json"])["files"]["trace.jsonl"].splitlines()
    blocks = [json.loads(line)["hash_ids"] for line in sent]
    assert [len(each) for each in blocks] == [2, 1, 1]
    assert blocks[1] == [7]
    assert len({number for each in blocks for number in each}) == 4
    with pytest.raises(ShardwrightError) as caught:
        job_objects("n", VLLM, endpoint(), replay, TARGET, '{"timestamp": 0, "text_input": "a"}')
    assert caught.value.code == "trace-without-lengths"


def test_files_come_back_through_a_log_whole_or_not_at_all():
    data = (DATA / "vllm-bench-0.32.0.json").read_bytes()
    log = "\n".join(["Starting", *packed("a.json", data), "noise", f"{END} 0"])
    files, status = unpacked(log)
    assert files["a.json"].encode() == data
    assert status == 0
    assert unpacked("\n".join(packed("a.json", data))) == ({}, None)


def test_an_image_without_the_tool_is_said(tmp_path, monkeypatch, capsys):
    asked = tmp_path / "load.json"
    asked.write_text(json.dumps({"argv": ["no-such-tool"], "env": {}, "files": {}, "results": []}))
    monkeypatch.setattr(send_load, "WORK", tmp_path / "work")
    monkeypatch.setattr("sys.argv", ["send_load.py", str(asked)])
    assert send_load.main() == 0  # not to be tried again
    out = capsys.readouterr().out
    assert "no-such-tool is not in this image" in out
    assert unpacked(out) == ({}, 127)


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
        say=lambda line: None,
    )  # fmt: skip


TARGET = Target(url="http://llama.ml.svc:8000", model="m", tokenizer="/t")


def result():
    return "\n".join([*packed("vllm-bench.json", b'{"x": 1}'), f"{END} 0"])


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
        ({"phase": "Succeeded"}, f"ValueError: tokenizer\n{END} 1", "load-tool-failed"),
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
    return "\n".join([*packs, f"{END} 1"])


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


class Answers:
    """HTTP through the API server: bodies by path."""

    def __init__(self, **bodies):
        self.bodies = bodies

    def send(self, url, *, body, key, timeout_s):
        name = url.rsplit("/", 1)[1]
        if name not in self.bodies:
            return Reply(status=401, body=b"no")
        assert url.startswith("Service/ml/llama:8000/")
        return Reply(status=200, body=json.dumps(self.bodies[name]).encode())


def test_version_and_models_are_asked_through_the_api_server_where_a_laptop_has_no_route():
    cluster = MemoryCluster(service(), pod())
    cluster.client = Answers(version={"version": "0.33.0"}, models={"data": [{"id": "a"}]})
    assert engine_version(cluster, endpoint()) == "vLLM 0.33.0"
    assert served_models(cluster, endpoint()) == ("a",)
    cluster.client = Answers()
    assert engine_version(cluster, endpoint()) == ""
    assert served_models(cluster, endpoint()) == ()


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
