"""A large cluster, acted out by kwok: what `list`, `status` and preflight cost does not run away.

Needs a bed with kwok (`python -m testbed up --with kuberay,lws,kwok`). Processor seconds are
judged, not elapsed ones: they do not depend on what else the machine does.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shardwright.cli.render import launch_plan
from shardwright.deploy.inventory import Inventory, to_object
from shardwright.deploy.preflight import gpu_shortage
from shardwright.deploy.status import all_endpoints
from shardwright.drive.kube import KubeCluster, connect
from shardwright.model.cluster import Object, ObjectRef

NUM_NODES = 200
NUM_ENDPOINTS = 40
REQUEST = Path(__file__).parents[1] / "golden" / "render" / "vllm-statefulset" / "request.yaml"
LABELS = {
    "app.kubernetes.io/managed-by": "shardwright",
    "app.kubernetes.io/component": "serving",
}


def a_node(number: int) -> Object:
    meta = {"name": f"fake-{number}", "labels": {"type": "kwok"}}
    taint = {"key": "kwok.x-k8s.io/node", "effect": "NoSchedule"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {"taints": [taint]}}


def a_pod(endpoint: int, member: int, namespace: str) -> Object:
    labels = LABELS | {"app.kubernetes.io/instance": f"endpoint-{endpoint}"}
    meta = {"name": f"endpoint-{endpoint}-{member}", "namespace": namespace, "labels": labels}
    spec = {
        "nodeName": f"fake-{(2 * endpoint + member) % NUM_NODES}",
        "containers": [{"name": "vllm", "image": "none"}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@pytest.fixture
def crowd(kubeconfig: Path, namespace: str) -> Iterator[KubeCluster]:
    with connect(kubeconfig) as cluster, ThreadPoolExecutor(4) as pool:
        list(pool.map(cluster.apply, map(a_node, range(NUM_NODES))))
        first = ObjectRef(api_version="v1", kind="Node", name="fake-0")
        for _ in range(30):
            node = cluster.get(first)
            if node and node.get("status", {}).get("conditions"):
                break
            time.sleep(1)
        else:
            pytest.skip("nobody acts for nodes labelled type=kwok: the bed is up without kwok")
        members = [(e, m, namespace) for e in range(NUM_ENDPOINTS) for m in (0, 1)]
        list(pool.map(lambda each: cluster.apply(a_pod(*each)), members))
        for number in range(NUM_ENDPOINTS):
            record = Inventory(name=f"endpoint-{number}", namespace=namespace, revision=1)
            cluster.apply(to_object(record))
        yield cluster
        nodes = [
            ObjectRef(api_version="v1", kind="Node", name=f"fake-{i}") for i in range(NUM_NODES)
        ]
        list(pool.map(cluster.delete, nodes))


def test_two_requests_show_every_endpoint(crowd: KubeCluster, namespace: str) -> None:
    for _ in range(60):
        found = all_endpoints(crowd, namespace).endpoints
        if all(each.is_ready for each in found):
            break
        time.sleep(1)
    assert [each.is_ready for each in found] == [True] * NUM_ENDPOINTS
    before = _cpu_s()
    all_endpoints(crowd)
    gpu_shortage(crowd, launch_plan(REQUEST))
    assert _cpu_s() - before < 2.0


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
