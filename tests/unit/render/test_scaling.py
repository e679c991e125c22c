"""Groups that something else counts: who counts them, by what, and what must not fight it."""

import pytest

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.model.errors import ShardwrightError
from shardwright.planner.plan import make_plan
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

SPEC = """
kind: DistributedInference
metadata: {{name: llama, namespace: serving}}
spec:
  model: {{id: meta-llama/Llama-3.1-70B-Instruct}}
  engine: {{name: {engine}}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: {nodes}, fabric: infiniband-400g}}
  parallelism: {{tensor: 8, pipeline: {pipeline}}}
  launch: {launch}
  workload: {{{workload}}}
  monitoring: {{podMonitor: {watched}}}
  autoscaling: {{{autoscaling}}}
"""
KEDA = 'by: keda, maxReplicas: 4, prometheus: "http://prometheus:9090"'
HPA = "by: hpa, maxReplicas: 4, metric: requests_in_flight"


def rendered(
    autoscaling, launch="lws", pipeline=2, watched="true", workload="concurrency: 32", engine="vllm"
):
    text = SPEC.format(
        autoscaling=autoscaling, launch=launch, pipeline=pipeline, nodes=pipeline,
        watched=watched, workload=workload, engine=engine,
    )  # fmt: skip
    request = load(text, "spec.yaml").request
    model = shape.load(request.model.id)
    objects = kubernetes_objects(build_launch_plan(request, model, make_plan(request, model)))
    return {each["kind"]: each for each in objects}


def test_keda_counts_requests_in_flight_of_this_endpoint():
    objects = rendered(KEDA)
    spec = objects["ScaledObject"]["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 4)
    (trigger,) = spec["triggers"]
    job = '{job="serving/llama"}'
    assert trigger["metadata"]["query"] == (
        f"sum(vllm:num_requests_running{job}) + sum(vllm:num_requests_waiting{job})"
    )
    assert trigger["metadata"]["threshold"] == "32"
    group = objects["LeaderWorkerSet"]
    assert spec["scaleTargetRef"] == {
        "apiVersion": group["apiVersion"],
        "kind": "LeaderWorkerSet",
        "name": group["metadata"]["name"],
    }


@pytest.mark.parametrize(("launch", "pipeline"), [("lws", 2), ("deployment", 1)])
@pytest.mark.parametrize("asked", [KEDA, HPA])
def test_nothing_fights_who_counts_the_groups(launch, pipeline, asked):
    objects = rendered(asked, launch=launch, pipeline=pipeline)
    workload = objects.get("LeaderWorkerSet") or objects["Deployment"]
    assert "replicas" not in workload["spec"]
    budget = objects["PodDisruptionBudget"]["spec"]
    assert budget["maxUnavailable"] == pipeline, "one whole group"
    assert "minAvailable" not in budget
    assert objects["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_an_hpa_reads_one_metric_of_each_pod():
    spec = rendered(HPA, watched="false")["HorizontalPodAutoscaler"]["spec"]
    assert spec["metrics"] == [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "requests_in_flight"},
                "target": {"type": "AverageValue", "averageValue": "32"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (KEDA, {"launch": "statefulset"}),
        (HPA, {"launch": "ray-statefulset"}),
        (HPA, {"launch": "kuberay"}),
        (KEDA, {"watched": "false"}),
        (KEDA, {"workload": "requestsPerSecond: 1"}),
        (KEDA, {"engine": "triton"}),
        (KEDA.replace("4", "1"), {}),
        ("by: keda, maxReplicas: 4", {}),
        ("by: hpa, maxReplicas: 4", {}),
        ("maxReplicas: 4", {}),
    ],
)
def test_what_cannot_scale_is_refused(asked, given):
    with pytest.raises(ShardwrightError) as caught:
        rendered(asked, **given)
    assert caught.value.code == "autoscaling-not-possible"
    assert caught.value.remedy
