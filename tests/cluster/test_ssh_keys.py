"""The keys of an MPI world, made in the cluster: a real API server, its rights, and the kubelet."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lightkube import Client
from lightkube.models.authorization_v1 import ResourceAttributes, SubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SubjectAccessReview
from testbed.layout import kubeconfig_path
from testbed.stock import ENGINE_IMAGE

from shardwright.cli.render import launch_plan
from shardwright.drive.kube import KubeCluster
from shardwright.model.cluster import Object, ObjectRef, reference
from shardwright.model.launch import LaunchPlan
from shardwright.render.emit import plain
from shardwright.render.keys import key_objects

CELL = Path(__file__).parents[1] / "golden" / "render" / "tensorrt-llm-mpi" / "request.yaml"
PROGRAM = Path("/usr/bin/ssh-keygen")
"""TensorRT-LLM's image has it, that of the test bed's engine has not: a volume lends it."""
LIMIT_S = 120


@pytest.fixture
def plan(kubeconfig: Path, namespace: str) -> LaunchPlan:
    if kubeconfig != kubeconfig_path():
        pytest.skip(f"needs the image of the test bed; this is {kubeconfig}")
    if not PROGRAM.exists():
        pytest.skip("needs openssh-client here")
    planned = launch_plan(CELL)
    members = tuple(replace(each, image=ENGINE_IMAGE) for each in planned.group.members)
    placement = replace(planned.placement, node_selector=(), tolerations=(), pull_secrets=())
    return replace(
        planned,
        namespace=namespace,
        group=replace(planned.group, members=members),
        placement=placement,
    )


def with_program(objects: Iterator[Object]) -> Iterator[Object]:
    """Lend the Job's container its program."""
    for each in objects:
        if each["kind"] == "Job":
            pod = each["spec"]["template"]["spec"]
            own = {"name": "keygen", "defaultMode": 0o555}
            pod["volumes"].append({"name": "keygen", "configMap": own})
            mount = {"name": "keygen", "mountPath": str(PROGRAM), "subPath": PROGRAM.name}
            pod["containers"][0]["volumeMounts"].append(mount)
        yield each


def lent(namespace: str) -> Object:
    content = base64.b64encode(PROGRAM.read_bytes()).decode()
    meta = {"name": "keygen", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta,
            "binaryData": {PROGRAM.name: content}}  # fmt: skip


def apply(cluster: KubeCluster, plan: LaunchPlan) -> ObjectRef:
    """Apply the Secret, its account and rights, and the Job; return the Job."""
    cluster.apply(lent(plan.namespace))
    objects = list(with_program(plain(each) for each in key_objects(plan)))
    for each in objects:
        cluster.apply(each)
    return reference(next(each for each in objects if each["kind"] == "Job"))


def finished(cluster: KubeCluster, job: ObjectRef) -> None:
    end = time.monotonic() + LIMIT_S
    while not (status := (cluster.get(job) or {}).get("status", {})).get("succeeded"):
        pods = cluster.list("v1", "Pod", namespace=job.namespace)
        assert time.monotonic() < end, (status, [pod["status"] for pod in pods])
        time.sleep(2)


def secret(cluster: KubeCluster, plan: LaunchPlan) -> dict[str, bytes]:
    ref = ObjectRef(
        api_version="v1", kind="Secret", name="llama-405b-ssh", namespace=plan.namespace
    )
    found = cluster.get(ref)
    assert found is not None
    return {name: base64.b64decode(value) for name, value in found.get("data", {}).items()}


def may(client: Client, plan: LaunchPlan, verb: str, name: str) -> bool:
    """Ask the server whether the Job's account may do this with a Secret."""
    wanted = ResourceAttributes(
        namespace=plan.namespace, verb=verb, resource="secrets", name=name, group=""
    )
    account = f"system:serviceaccount:{plan.namespace}:llama-405b-ssh-keys"
    asked = SubjectAccessReviewSpec(user=account, resourceAttributes=wanted)
    answer = client.create(SubjectAccessReview(spec=asked))
    return answer.status is not None and answer.status.allowed


def test_the_job_fills_the_secret_once_and_may_do_nothing_else(
    cluster: KubeCluster, client: Client, plan: LaunchPlan
) -> None:
    job = apply(cluster, plan)
    finished(cluster, job)
    keys = secret(cluster, plan)
    assert set(keys) == {"id_ed25519", "authorized_keys", "ssh_host_ed25519_key", "known_hosts"}
    assert keys["id_ed25519"].startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    assert [may(client, plan, verb, "llama-405b-ssh") for verb in ("get", "patch")] == [True, True]
    assert not may(client, plan, "delete", "llama-405b-ssh")
    assert not may(client, plan, "get", "another")
    apply(cluster, plan)  # a later deploy leaves the keys as they are
    assert secret(cluster, plan) == keys
