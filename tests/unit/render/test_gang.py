"""A group starts whole: what each scheduler is told, by names its own documentation gives."""

import pytest

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.model.errors import ShardwrightError
from shardwright.planner.plan import make_plan
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

SPEC = """
kind: DistributedInference
metadata: {{name: llama}}
spec:
  model: {{id: meta-llama/Llama-3.1-70B-Instruct}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: {nodes}, fabric: infiniband-400g}}
  parallelism: {{tensor: 8, pipeline: 2, replicas: {replicas}}}
  launch: {launch}
  scheduling: {scheduling}
  access: {{route: llm.example.org, gateway: infra/public}}
"""


def rendered(launch, scheduling, replicas=1):
    text = SPEC.format(launch=launch, scheduling=scheduling, replicas=replicas, nodes=2 * replicas)
    request = load(text, "spec.yaml").request
    model = shape.load(request.model.id)
    return kubernetes_objects(build_launch_plan(request, model, make_plan(request, model)))


def of_kind(objects, kind):
    return [each for each in objects if each["kind"] == kind]


def test_every_pod_of_a_group_names_its_volcano_pod_group():
    objects = rendered("statefulset", "{gang: volcano, queue: gpus}", replicas=2)
    groups = of_kind(objects, "PodGroup")
    assert [each["metadata"]["name"] for each in groups] == ["llama-0", "llama-1"]
    assert {each["spec"]["minMember"] for each in groups} == {2}
    assert {each["spec"]["queue"] for each in groups} == {"gpus"}
    named = [
        each["spec"]["template"]["metadata"]["annotations"]["scheduling.k8s.io/group-name"]
        for each in of_kind(objects, "StatefulSet")
    ]
    assert sorted(named) == ["llama-0", "llama-0", "llama-1", "llama-1"]


@pytest.mark.parametrize(
    ("minor", "api"),
    [("1.36", "scheduling.k8s.io/v1alpha2"), ("1.37", "scheduling.k8s.io/v1beta1")],
)
def test_native_gangs_speak_the_api_of_the_cluster(minor, api):
    objects = rendered("statefulset", f'{{gang: native, kubernetes: "{minor}"}}')
    (group,) = of_kind(objects, "PodGroup")
    assert group["apiVersion"] == api
    assert group["spec"] == {"schedulingPolicy": {"gang": {"minCount": 2}}}
    for each in of_kind(objects, "StatefulSet"):
        pod = each["spec"]["template"]["spec"]
        assert pod["schedulingGroup"] == {"podGroupName": group["metadata"]["name"]}


def test_kueue_admits_a_leader_worker_set_by_its_label():
    (group,) = of_kind(rendered("lws", "{gang: kueue, queue: gpus}"), "LeaderWorkerSet")
    assert group["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"


@pytest.mark.parametrize(
    ("launch", "scheduling", "replicas", "code"),
    [
        ("statefulset", "{queue: gpus}", 1, "queue-splits-group"),
        ("lws", "{gang: native}", 1, "gang-not-possible"),
        ("lws", "{gang: volcano}", 2, "gang-not-possible"),
    ],
)
def test_a_gang_that_would_not_hold_is_refused(launch, scheduling, replicas, code):
    with pytest.raises(ShardwrightError) as caught:
        rendered(launch, scheduling, replicas)
    assert caught.value.code == code


def test_a_named_gateway_gets_a_route_to_the_serving_service():
    objects = rendered("lws", "{}")
    (route,) = of_kind(objects, "HTTPRoute")
    assert route["spec"]["parentRefs"] == [{"name": "public", "namespace": "infra"}]
    (service,) = [
        each for each in of_kind(objects, "Service") if each["metadata"]["name"] == "llama"
    ]
    backend = route["spec"]["rules"][0]["backendRefs"][0]
    assert backend == {"name": "llama", "port": service["spec"]["ports"][0]["port"]}
