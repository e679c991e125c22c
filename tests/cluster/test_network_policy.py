"""The rendered NetworkPolicy where something enforces it: who reaches which port of the group."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from testbed import shell
from testbed.bed import standing
from testbed.kubectl import kubectl
from testbed.layout import kubeconfig_path
from testbed.stock import ENGINE_IMAGE

from shardwright.cli.render import launch_plan
from shardwright.drive.kube import KubeCluster
from shardwright.model.cluster import Object
from shardwright.model.launch import LaunchPlan
from shardwright.render.labels import selector
from shardwright.render.objects import kubernetes_objects
from shardwright.render.services import public_ports

SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: guarded, namespace: {namespace}}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 2}}
  parallelism: {{tensor: 8, pipeline: 2}}
  launch: statefulset
"""
INNER_PORT = 29500
"""Where torch.distributed's store of the group listens by default."""
SETTLES_S = 60


@pytest.fixture
def enforced(kubeconfig: Path) -> None:
    if kubeconfig != kubeconfig_path():
        pytest.skip(f"whether {kubeconfig} enforces policies is not known")
    if "kube-router" not in standing().addons:
        pytest.skip(
            "nothing enforces policies: python -m testbed up --with kuberay,lws,kube-router"
        )


def a_pod(name: str, namespace: str, node: str, ports: tuple[int, ...], **labels: str) -> Object:
    """A pod that answers HTTP on these ports, the first one named http."""
    servers = "".join(f"python3 -m http.server -d /tmp {port} & " for port in ports)
    container = {
        "name": "main",
        "image": ENGINE_IMAGE,
        "command": ["bash", "-c", f"echo here >/tmp/index.html; {servers}sleep 1000"],
        "ports": [{"name": "http", "containerPort": ports[0]}] if ports else [],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def reaches(namespace: str, pod: str, address: str, port: int) -> bool:
    words = ("curl", "-s", "-m", "3", f"http://{address}:{port}/index.html")
    try:
        return kubectl("-n", namespace, "exec", pod, "--", *words).strip() == "here"
    except shell.TestbedError:
        return False


def becomes(*, wanted: bool, look: Callable[[], bool]) -> bool:
    """Look until it is as wanted: a firewall learns of a pod a moment after it runs."""
    end = time.monotonic() + SETTLES_S
    while (seen := look()) is not wanted and time.monotonic() < end:
        time.sleep(1)
    return seen is wanted


def test_only_the_group_reaches_its_inner_ports(
    enforced: None, cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    plan = rendered(tmp_path, namespace)
    public = public_ports(plan)[0].number
    members = dict(selector(plan))
    first, second = sorted(
        node["metadata"]["name"]
        for node in cluster.list("v1", "Node")
        if node["metadata"]["name"].startswith("node-")
    )[:2]
    cluster.apply(a_pod("member-0", namespace, first, (public, INNER_PORT), **members))
    cluster.apply(a_pod("member-1", namespace, second, (), **members))
    cluster.apply(a_pod("beside", namespace, first, ()))
    cluster.apply(a_pod("away", namespace, second, ()))
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    address = kubectl(
        "-n", namespace, "get", "pod", "member-0", "-o", "jsonpath={.status.podIP}"
    ).strip()

    def asks(pod: str, port: int) -> Callable[[], bool]:
        return lambda: reaches(namespace, pod, address, port)

    for anybody in ("member-1", "away", "beside"):
        assert becomes(wanted=True, look=asks(anybody, INNER_PORT)), anybody
    (policy,) = [each for each in kubernetes_objects(plan) if each["kind"] == "NetworkPolicy"]
    cluster.apply(policy)
    for stranger in ("away", "beside"):
        assert becomes(wanted=True, look=asks(stranger, public)), stranger
        assert becomes(wanted=False, look=asks(stranger, INNER_PORT)), stranger
    assert asks("member-1", INNER_PORT)()
    assert asks("member-1", public)()


def rendered(folder: Path, namespace: str) -> LaunchPlan:
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.format(namespace=namespace))
    return launch_plan(spec)
