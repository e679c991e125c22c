"""`doctor NAME` on a real API server: what kubelet, scheduler and controllers really say is read.

Each test deploys a small endpoint with one thing wrong in it, leaves it as it failed, and asks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner
from testbed.kubectl import kubectl
from tests.cluster.shell_endpoint import endpoint

from shardwright.cli import doctor
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.outcome import Result
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.target import Target
from shardwright.drive.clock import SystemClock
from shardwright.drive.kube import KubeCluster
from shardwright.model.cluster import Object
from shardwright.model.launch import Budgets

BUDGETS = Budgets(
    image_pull_s=20, download_s=20, rendezvous_s=10, load_s=10, compile_s=0, graphs_s=0,
    startup_s=20, engine_ready_s=20, distributed_timeout_s=20, drain_s=1,
)  # fmt: skip
SCHEDULE_S = 8.0


def left_failed(cluster: KubeCluster, namespace: str, objects: tuple[Object, ...]) -> None:
    target = Target(
        name="small", namespace=namespace, num_pods=1, budgets=BUDGETS, schedule_s=SCHEDULE_S
    )
    changes = planned_changes(cluster, target, objects)
    outcome = Rollout(cluster, SystemClock(), target, print).deploy(
        objects, changes, rollback=False
    )
    assert outcome.result is Result.FAILED


def asked(kubeconfig: Path, namespace: str) -> dict[str, Any]:
    """Ask as a user does, and return what -o json says."""
    arguments = ["small", "-n", namespace, "--kubeconfig", str(kubeconfig), "-o", "json"]
    answer = CliRunner().invoke(doctor.command, arguments, standalone_mode=False)
    assert answer.exception is None, answer.exception
    said: dict[str, Any] = json.loads(answer.stdout)
    return said


def test_gpus_that_no_node_has(cluster: KubeCluster, namespace: str, kubeconfig: Path) -> None:
    gpus = {"resources": {"limits": {"nvidia.com/gpu": "64"}}}
    left_failed(cluster, namespace, endpoint(namespace, container=gpus))
    first = asked(kubeconfig, namespace)["findings"][0]
    assert (first["code"], first["confidence"] >= 0.7) == ("unschedulable", True)
    assert "Insufficient nvidia.com/gpu" in first["cause"]


def test_a_secret_that_is_not_there(cluster: KubeCluster, namespace: str, kubeconfig: Path) -> None:
    key = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
    secret = {"env": [{"name": "HF_TOKEN", "valueFrom": key}]}
    left_failed(cluster, namespace, endpoint(namespace, container=secret))
    first = asked(kubeconfig, namespace)["findings"][0]
    assert (first["code"], first["confidence"] >= 0.7) == ("hub-secret-missing", True)
    assert any("hf-token" in line["text"] for line in first["evidence"])


def test_an_image_that_cannot_be_pulled(
    cluster: KubeCluster, namespace: str, kubeconfig: Path
) -> None:
    image = {"image": "registry.invalid/vllm:1"}
    left_failed(cluster, namespace, endpoint(namespace, container=image))
    first = asked(kubeconfig, namespace)["findings"][0]
    assert (first["code"], first["confidence"] >= 0.7) == ("image-pull-failed", True)


def test_a_probe_that_kills_a_slow_start(
    cluster: KubeCluster, namespace: str, kubeconfig: Path
) -> None:
    probe = {
        "startupProbe": {
            "exec": {"command": ["test", "-e", "/tmp/ready"]},
            "periodSeconds": 1,
            "failureThreshold": 3,
        }
    }
    slow = "echo Loading safetensors checkpoint shards; sleep 1000"
    left_failed(cluster, namespace, endpoint(namespace, slow, container=probe))
    first = asked(kubeconfig, namespace)["findings"][0]
    assert (first["code"], first["confidence"] >= 0.7) == ("probe-killed", True)


def test_a_claim_that_is_never_bound(
    cluster: KubeCluster, namespace: str, kubeconfig: Path
) -> None:
    left_failed(cluster, namespace, endpoint(namespace, storage_class="no-such-class"))
    first = asked(kubeconfig, namespace)["findings"][0]
    assert (first["family"], first["confidence"] >= 0.7) == ("k8s-volume", True)
    assert any("no-such-class" in line["text"] for line in first["evidence"])


def test_a_healthy_endpoint_has_no_confident_finding(
    cluster: KubeCluster, namespace: str, kubeconfig: Path
) -> None:
    objects = endpoint(namespace)
    target = Target(name="small", namespace=namespace, num_pods=1, budgets=BUDGETS)
    changes = planned_changes(cluster, target, objects)
    outcome = Rollout(cluster, SystemClock(), target, print).deploy(objects, changes)
    assert outcome.result is Result.READY
    said = asked(kubeconfig, namespace)
    assert [f for f in said["findings"] if f["confidence"] >= 0.7] == []
    assert said["unread"] == []


def test_a_role_that_may_read_pods_only_is_told_what_it_misses(
    cluster: KubeCluster, namespace: str, kubeconfig: Path, tmp_path: Path
) -> None:
    gpus = {"resources": {"limits": {"nvidia.com/gpu": "64"}}}
    left_failed(cluster, namespace, endpoint(namespace, container=gpus))
    kubectl("-n", namespace, "create", "serviceaccount", "reader")
    kubectl(
        "-n", namespace, "create", "role", "reader", "--verb=get,list",
        "--resource=pods,pods/log,configmaps",
    )  # fmt: skip
    who = f"--serviceaccount={namespace}:reader"
    kubectl("-n", namespace, "create", "rolebinding", "reader", "--role=reader", who)
    token = kubectl("-n", namespace, "create", "token", "reader").strip()
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    config["users"] = [{"name": each["name"], "user": {"token": token}} for each in config["users"]]
    theirs = tmp_path / "kubeconfig"
    theirs.write_text(yaml.safe_dump(config), encoding="utf-8")

    said = asked(theirs, namespace)
    refused = {line.split(":")[0] for line in said["unread"]}
    assert {"Event", "Node", "PersistentVolumeClaim", "StatefulSet"} <= refused
    assert said["findings"][0]["code"] == "unschedulable"  # the pod's own condition says it
