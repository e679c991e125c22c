"""Keys that the cluster makes: what is rendered holds none, and gives one right to one job."""

import pytest

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.planner.plan import make_plan
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

SPEC = """
kind: DistributedInference
metadata: {{name: llama, namespace: serving}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  engine: {{name: {engine}}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 2, fabric: infiniband-400g}}
  parallelism: {{tensor: 8, pipeline: 2}}
  launch: {launch}
"""
KEYS = ["id_ed25519", "authorized_keys", "ssh_host_ed25519_key", "known_hosts"]


def rendered(engine="tensorrt-llm", launch="mpi"):
    request = load(SPEC.format(engine=engine, launch=launch), "spec.yaml").request
    model = shape.load(request.model.id)
    return kubernetes_objects(build_launch_plan(request, model, make_plan(request, model)))


def only(objects, kind, name=""):
    (found,) = [e for e in objects if e["kind"] == kind and name in e["metadata"]["name"]]
    return found


@pytest.mark.parametrize(("engine", "launch"), [("tensorrt-llm", "mpi"), ("triton", "lws")])
def test_secret_is_rendered_empty_and_pods_name_the_keys_they_wait_for(engine, launch):
    objects = rendered(engine, launch)
    secret = only(objects, "Secret")
    assert (secret["metadata"]["name"], secret["type"]) == ("llama-ssh", "Opaque")
    assert "data" not in secret
    assert "stringData" not in secret
    volumes = [
        each["secret"]
        for workload in objects
        if workload["kind"] in ("StatefulSet", "LeaderWorkerSet")
        for pod in pods(workload)
        for each in pod["volumes"]
        if "secret" in each
    ]
    assert len(volumes) == 2
    for each in volumes:
        assert each["secretName"] == "llama-ssh"
        assert [item["key"] for item in each["items"]] == KEYS


def pods(workload):
    spec = workload["spec"]
    if workload["kind"] == "StatefulSet":
        return [spec["template"]["spec"]]
    group = spec["leaderWorkerTemplate"]
    return [group["leaderTemplate"]["spec"], group["workerTemplate"]["spec"]]


def test_the_job_may_read_and_patch_that_one_secret_and_no_serving_pod_has_a_token():
    objects = rendered()
    role = only(objects, "Role")
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["llama-ssh"],
            "verbs": ["get", "patch"],
        }
    ]
    account = only(objects, "ServiceAccount")["metadata"]
    binding = only(objects, "RoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": "serving"}
    ]
    job = only(objects, "Job", "ssh-keys")["spec"]["template"]["spec"]
    assert job["serviceAccountName"] == account["name"]
    assert "--secret=llama-ssh" in job["containers"][0]["command"]
    assert "--namespace=serving" in job["containers"][0]["command"]
    for each in objects:
        if each["kind"] == "StatefulSet":
            (pod,) = pods(each)
            assert "serviceAccountName" not in pod
            assert pod["automountServiceAccountToken"] is False


def test_everything_comes_before_what_needs_it():
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered()]
    order = [name for name in names if "ssh" in name[1]]
    assert [kind for kind, _ in order] == [
        "Secret", "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Job",
    ]  # fmt: skip
    workload = [kind for kind, _ in names].index("StatefulSet")
    assert names.index(order[-1]) < workload


def test_a_group_without_ssh_has_none_of_it():
    kinds = {each["kind"] for each in rendered("vllm", "lws")}
    assert not kinds & {"Secret", "ServiceAccount", "Role", "RoleBinding"}
