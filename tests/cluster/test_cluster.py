"""What every other cluster test stands on: nodes with GPUs, DNS across nodes, the controllers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from lightkube import ApiError, Client, codecs
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.core_v1 import Node, Pod, Service

IMAGE = "testbed.local/shell:1"
GPUS = "nvidia.com/gpu"
LeaderWorkerSet = create_namespaced_resource(
    "leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet", "leaderworkersets"
)
RayCluster = create_namespaced_resource("ray.io", "v1", "RayCluster", "rayclusters")


def eventually(ready: Callable[[], Any], *, timeout_s: float = 60) -> Any:
    """Return the first true answer; fail with the last one."""
    end = time.monotonic() + timeout_s
    while not (answer := ready()):
        assert time.monotonic() < end, f"not within {timeout_s} s; last answer {answer!r}"
        time.sleep(0.3)
    return answer


def pod_spec(*command: str, gpus: int = 0, host: str | None = None) -> dict[str, Any]:
    limits = {"memory": "64Mi"} | ({GPUS: str(gpus)} if gpus else {})
    container = {
        "name": "main",
        "image": IMAGE,
        "command": list(command),
        "resources": {"limits": limits, "requests": {"cpu": "10m"}},
    }
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return spec | ({"nodeName": host} if host else {})


def create(client: Client, kind: str, api: str, name: str, namespace: str, spec: Any) -> None:
    document = {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    client.create(codecs.from_dict(document))


def finished_log(client: Client, name: str, namespace: str) -> str:
    def ended() -> bool:
        phase = client.get(Pod, name, namespace=namespace).status.phase
        return phase in ("Succeeded", "Failed")

    eventually(ended)
    return "\n".join(client.log(name, namespace=namespace))


@pytest.fixture
def two_gpu_nodes(client: Client) -> None:
    allocatable = [(node.status.allocatable or {}).get(GPUS) for node in client.list(Node)]
    if allocatable.count("8") < 2:
        pytest.skip(f"needs two nodes with 8 GPUs each; this cluster offers {allocatable}")


@pytest.mark.usefixtures("two_gpu_nodes")
def test_ranks_find_each_other_by_name_across_nodes(client: Client, namespace: str) -> None:
    """Two pods of a StatefulSet, forced apart by 8 GPUs each, exchange their pod index by DNS."""
    create(
        client,
        "Service",
        "v1",
        "group",
        namespace,
        {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"app": "group"},
            "ports": [{"name": "rendezvous", "port": 29500}],
        },
    )
    serve_index = "while true; do echo index-$INDEX | nc -l -p 29500 -w 5; done"
    template = pod_spec("sh", "-c", serve_index, gpus=8)
    index_label = "metadata.labels['apps.kubernetes.io/pod-index']"
    template["containers"][0]["env"] = [
        {"name": "INDEX", "valueFrom": {"fieldRef": {"fieldPath": index_label}}}
    ]
    create(
        client,
        "StatefulSet",
        "apps/v1",
        "group",
        namespace,
        {
            "replicas": 2,
            "serviceName": "group",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "group"}},
            "template": {"metadata": {"labels": {"app": "group"}}, "spec": template},
        },
    )
    eventually(
        lambda: client.get(StatefulSet, "group", namespace=namespace).status.readyReplicas == 2
    )
    hosts = {pod.spec.nodeName for pod in client.list(Pod, namespace=namespace)}
    assert len(hosts) == 2
    ask = "sleep 1; for i in 0 1; do nc -w 5 group-$i.group 29500; done"
    for number, host in enumerate(sorted(hosts)):
        create(
            client,
            "Pod",
            "v1",
            f"asker-{number}",
            namespace,
            pod_spec("sh", "-c", ask, host=host) | {"restartPolicy": "Never"},
        )
        assert finished_log(client, f"asker-{number}", namespace).split() == ["index-0", "index-1"]


def test_a_service_address_reaches_a_pod_from_every_node(client: Client, namespace: str) -> None:
    serve = pod_spec("httpd", "-f", "-p", "8000", "-h", "/etc")
    create(client, "Pod", "v1", "server", namespace, serve)
    labelled = {"metadata": {"labels": {"app": "server"}}}
    client.patch(Pod, "server", labelled, namespace=namespace)
    create(
        client,
        "Service",
        "v1",
        "server",
        namespace,
        {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8000}]},
    )
    address = client.get(Service, "server", namespace=namespace).spec.clusterIP
    fetch = (
        f"for i in 1 2 3 4 5 6 7 8; do wget -q -O - http://{address}/hosts && exit; sleep 1; done"
    )
    for number, node in enumerate(client.list(Node)):
        create(
            client,
            "Pod",
            "v1",
            f"caller-{number}",
            namespace,
            pod_spec("sh", "-c", fetch, host=node.metadata.name) | {"restartPolicy": "Never"},
        )
        assert "server" in finished_log(client, f"caller-{number}", namespace)


def test_the_real_lws_controller_makes_a_group(client: Client, namespace: str) -> None:
    worker = pod_spec("sh", "-c", "echo $LWS_LEADER_ADDRESS $LWS_WORKER_INDEX; sleep 1000")
    template = {"size": 2, "workerTemplate": {"spec": worker}}
    create(
        client,
        "LeaderWorkerSet",
        "leaderworkerset.x-k8s.io/v1",
        "group",
        namespace,
        {"replicas": 1, "leaderWorkerTemplate": template},
    )

    def both_run() -> bool:
        phases = [pod.status.phase for pod in client.list(Pod, namespace=namespace)]
        return phases == ["Running", "Running"]

    eventually(both_run)
    for pod, index in (("group-0", "0"), ("group-0-1", "1")):
        log = eventually(lambda pod=pod: "".join(client.log(pod, namespace=namespace)))
        assert log.split() == [f"group-0.group.{namespace}", index]


def test_the_real_lws_webhook_judges_groups(client: Client, namespace: str) -> None:
    """What the CRD's schema allows and only the webhook knows: a rollout that cannot move."""
    template = {"size": 2, "workerTemplate": {"spec": pod_spec("true")}}
    stuck = {"rollingUpdateConfiguration": {"maxUnavailable": 0, "maxSurge": 0}}
    rollout = {"type": "RollingUpdate"} | stuck
    with pytest.raises(ApiError, match="must not be 0 when `maxSurge` is 0"):
        create(
            client,
            "LeaderWorkerSet",
            "leaderworkerset.x-k8s.io/v1",
            "group",
            namespace,
            {"leaderWorkerTemplate": template, "rolloutStrategy": rollout},
        )


def test_the_real_kuberay_operator_makes_head_and_worker(client: Client, namespace: str) -> None:
    def template() -> dict[str, Any]:
        return {"spec": pod_spec("sleep", "1000")}

    worker_group = {
        "groupName": "workers",
        "replicas": 1,
        "minReplicas": 1,
        "maxReplicas": 1,
        "rayStartParams": {},
        "template": template(),
    }
    head_group = {"rayStartParams": {}, "template": template()}
    create(
        client,
        "RayCluster",
        "ray.io/v1",
        "ray",
        namespace,
        {"headGroupSpec": head_group, "workerGroupSpecs": [worker_group]},
    )

    def kinds() -> set[str]:
        pods = client.list(Pod, namespace=namespace)
        return {pod.metadata.labels.get("ray.io/node-type", "") for pod in pods}

    eventually(lambda: kinds() == {"head", "worker"})
