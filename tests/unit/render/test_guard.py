"""The watch in every member of a group: how it is started, mounted and asked, per mechanism."""

import re

import pytest

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.planner.plan import make_plan
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

SPEC = """
kind: DistributedInference
metadata: {{name: llama}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  engine: {{name: {engine}{image}}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: {pipeline}, fabric: infiniband-400g}}
  parallelism: {{tensor: 8, pipeline: {pipeline}}}
  launch: {launch}
"""
GROUPS = [
    ("vllm", "lws", "/health"),
    ("vllm", "statefulset", "/health"),
    ("vllm", "kuberay", "/health"),
    ("sglang", "lws", "/health"),
    ("tensorrt-llm", "lws", "/health"),
    ("triton", "lws", "/v2/health/ready"),
]


def rendered(engine, launch, pipeline=2):
    image = ", image: 'registry.example/vllm-with-ray:0.33.0'" if launch == "kuberay" else ""
    text = SPEC.format(engine=engine, image=image, launch=launch, pipeline=pipeline)
    request = load(text, "spec.yaml").request
    model = shape.load(request.model.id)
    return kubernetes_objects(build_launch_plan(request, model, make_plan(request, model)))


def pods(objects):
    """Pod specs of leader and worker, whatever holds them."""
    for each in objects:
        spec = each.get("spec", {})
        group = spec.get("leaderWorkerTemplate", {})
        if group:
            return group["leaderTemplate"]["spec"], group["workerTemplate"]["spec"]
        if each["kind"] == "RayCluster":
            (workers,) = spec["workerGroupSpecs"]
            return spec["headGroupSpec"]["template"]["spec"], workers["template"]["spec"]
    sets = [each for each in objects if each["kind"] == "StatefulSet"]
    return tuple(each["spec"]["template"]["spec"] for each in sets)


def watch_of(pod):
    (line,) = [line for line in pod["containers"][0]["args"][0].splitlines() if "group.py" in line]
    return line


@pytest.mark.parametrize(("engine", "launch", "health"), GROUPS)
def test_every_member_starts_the_watch_and_its_liveness_asks_it(engine, launch, health):
    objects = rendered(engine, launch)
    (guard,) = [each for each in objects if "group.py" in each.get("data", {})]
    for pod in pods(objects):
        container = pod["containers"][0]
        broken = re.search(r"--broken-file=(\S+)", watch_of(pod))[1]
        command = container["livenessProbe"]["exec"]["command"]
        assert command[:2] == ["/bin/bash", "-c"]
        assert broken in command[2]
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        volumes = {each["name"]: each for each in pod["volumes"]}
        assert f"{mounts['guard']}/group.py" in watch_of(pod)
        assert volumes["guard"]["configMap"]["name"] == guard["metadata"]["name"]


@pytest.mark.parametrize(("engine", "launch", "health"), GROUPS)
def test_only_the_leader_has_its_engine_asked(engine, launch, health):
    leader, worker = pods(rendered(engine, launch))
    (http,) = [port for port in leader["containers"][0]["ports"] if port["name"] == "http"]
    words = watch_of(leader).split()
    assert f"--health-port={http['containerPort']}" in words
    assert f"--health-path={health}" in words
    assert "--health-patience-s=60" in words
    assert "--health" not in watch_of(worker)


def test_workers_of_kuberay_have_no_number_and_go_by_the_name_of_their_pod():
    leader, worker = pods(rendered("vllm", "kuberay"))
    assert "--index=0 " in watch_of(leader)
    assert "FQ_RAY_IP" not in watch_of(leader), "KubeRay sets it in workers, and bash runs with -u"
    assert '--index="${HOSTNAME}" --leader="${FQ_RAY_IP}"' in watch_of(worker)
    assert "6379" in worker["containers"][0]["readinessProbe"]["exec"]["command"][2]


def test_watch_comes_before_what_mounts_it():
    kinds = [each["kind"] for each in rendered("vllm", "lws")]
    assert kinds.index("ConfigMap") < kinds.index("LeaderWorkerSet")


def test_group_of_one_pod_keeps_the_probe_of_its_engine():
    objects = rendered("vllm", "deployment", pipeline=1)
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert not [each for each in objects if "group.py" in each.get("data", {})]


@pytest.mark.parametrize(("engine", "launch", "health"), GROUPS)
def test_every_member_of_a_group_waits_for_its_requests_before_it_ends(engine, launch, health):
    leader, worker = pods(rendered(engine, launch))
    limits = []
    for pod in (leader, worker):
        container = pod["containers"][0]
        shell, option, line = container["lifecycle"]["preStop"]["exec"]["command"]
        assert (shell, option) == ("/bin/bash", "-c")
        assert "/leave.py " in line
        assert "$(" not in line, "the kubelet fills nothing in there"
        broken = re.search(r"--broken-file=(\S+)", watch_of(pod))[1]
        assert line.startswith(f"[[ -e {broken} ]] || "), "its liveness probe ends it at once"
        limits.append(int(re.search(r"--limit-s=(\d+)", line)[1]))
    grace_s = leader["terminationGracePeriodSeconds"]
    assert limits[0] < limits[1] < grace_s, "followers outlive their leader, within the grace"
    assert worker["terminationGracePeriodSeconds"] == grace_s


@pytest.mark.parametrize(("engine", "launch", "health"), GROUPS)
def test_leader_that_is_leaving_is_not_ready(engine, launch, health):
    leader, worker = pods(rendered(engine, launch))
    leaving = re.search(r"--leaving-file=(\S+)", watch_of(leader))[1]
    (line,) = leader["containers"][0]["readinessProbe"]["exec"]["command"][2:]
    assert f"[[ ! -e {leaving} ]]" in line
    assert f"GET {health} " in line
    assert "--leaving-file" not in watch_of(worker)


@pytest.mark.parametrize(
    ("engine", "gauges"),
    [
        ("vllm", "vllm:num_requests_running vllm:num_requests_waiting"),
        ("sglang", "sglang:num_running_reqs sglang:num_queue_reqs"),
        ("tensorrt-llm", None),
        ("triton", None),
    ],
)
def test_requests_are_counted_by_gauges_where_the_engine_has_certain_ones(engine, gauges):
    watch = watch_of(pods(rendered(engine, "lws"))[0])
    assert (f"--gauges {gauges}" in watch) if gauges else ("--gauges" not in watch)
