"""Weights from a bucket into a claim, by the rendered Job: a real S3 store in a pod beside it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from testbed.layout import engines_dir, kubeconfig_path
from testbed.stock import ENGINE_IMAGE, SHELL_IMAGE

from shardwright.cli.render import launch_plan
from shardwright.drive.kube import KubeCluster
from shardwright.model.cluster import Object, ObjectRef, reference
from shardwright.render.emit import plain
from shardwright.render.jobs import job
from shardwright.render.storage import claim_object, config_object

PACKAGES = ("moto[server]==5.2.5", "boto3==1.44.8")
LIMIT_S = 180
SPEC = """
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: llama, namespace: {namespace}}}
spec:
  model: {{id: meta-llama/Llama-3.1-8B-Instruct, source: "s3://models/llama"}}
  cluster: {{gpu: H100-SXM, gpusPerNode: 8, nodes: 1}}
  parallelism: {{tensor: 1}}
  storage: {{size: 1Gi}}
  access: {{s3Secret: bucket-keys}}
  network: {{s3Endpoint: "http://store:5000", s3Region: us-east-1}}
"""
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40_000, "code.bin": b"x"}
"""10 MB of weights, so that they come in several ranges; a format that runs code stays behind."""
SERVE = """
import time
import boto3
from moto.server import ThreadedMotoServer
ThreadedMotoServer(ip_address="0.0.0.0", port=5000).start()
s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:5000")
s3.create_bucket(Bucket="models")
for name, body in {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40_000,
                   "code.bin": b"x"}.items():
    s3.put_object(Bucket="models", Key=f"llama/{name}", Body=body, ChecksumAlgorithm="SHA256")
print("ready", flush=True)
time.sleep(3600)
"""


@pytest.fixture(scope="module")
def libraries(kubeconfig: Path) -> str:
    """Return a folder, which every container of the bed sees, with boto3 and a store."""
    if kubeconfig != kubeconfig_path():
        pytest.skip(f"needs the test bed; this is {kubeconfig}")
    key = hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]
    folder = engines_dir() / f"s3-for-tests-{key}"
    uv = shutil.which("uv") or str(engines_dir().parent / "tools" / "bin" / "uv")
    if not (folder / "whole").exists():
        if not Path(uv).exists():
            pytest.skip("needs uv, which make setup fetches")
        wanted = ["--python-version", "3.11", "--target", str(folder), *PACKAGES]
        subprocess.run([uv, "pip", "install", "--quiet", *wanted], check=True)
        (folder / "whole").touch()
    return str(folder)


def store(namespace: str, libraries: str) -> tuple[Object, ...]:
    meta: dict[str, Any] = {"name": "store", "namespace": namespace, "labels": {"app": "store"}}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    env = {**keys, "PYTHONPATH": libraries, "AWS_DEFAULT_REGION": "us-east-1", "HOME": "/tmp"}
    container = {
        "name": "store",
        "image": ENGINE_IMAGE,
        "command": ["python3", "-c", SERVE],
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    secret = {"name": "bucket-keys", "namespace": namespace}
    port = {"port": 5000, "name": "http"}
    return (
        {"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": keys},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta,
         "spec": {"selector": {"app": "store"}, "ports": [port]}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}},
    )  # fmt: skip


def reader(namespace: str, claim: str) -> Object:
    """Write a pod that prints the sums of what the claim holds, and ends."""
    command = "cd /models && find . -type f | grep -v compile | sort | xargs sha256sum"
    mount = {"name": "models", "mountPath": "/models"}
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": claim}}
    container = {
        "name": "main", "image": SHELL_IMAGE, "command": ["sh", "-c", command],
        "volumeMounts": [mount],
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "reader", "namespace": namespace},
        "spec": {"restartPolicy": "Never", "containers": [container], "volumes": [volume]},
    }


def wait(cluster: KubeCluster, ref: ObjectRef, field: str, value: object) -> None:
    end = time.monotonic() + LIMIT_S
    while (status := (cluster.get(ref) or {}).get("status", {})).get(field) != value:
        assert time.monotonic() < end, status
        time.sleep(2)


def test_the_job_brings_the_weights_and_marks_them_whole(
    cluster: KubeCluster, namespace: str, libraries: str, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.format(namespace=namespace))
    plan = launch_plan(spec)
    (task,) = plan.tasks
    rendered = plain(job(plan, task))
    container = rendered["spec"]["template"]["spec"]["containers"][0]
    container["image"] = ENGINE_IMAGE
    container["env"].append({"name": "PYTHONPATH", "value": libraries})
    for each in (*store(namespace, libraries), *(config_object(plan, c) for c in plan.configs)):
        cluster.apply(plain(each))
    cluster.apply(plain(claim_object(plan, plan.claims[0])))
    cluster.apply(rendered)  # before the store answers: the Job tries again until it does
    wait(cluster, reference(rendered), "succeeded", 1)
    sums = reader(namespace, plan.claims[0].name)
    cluster.apply(sums)
    wait(cluster, reference(sums), "phase", "Succeeded")
    found = dict(
        reversed(line.split(maxsplit=1))
        for line in cluster.logs(reference(sums), "main", tail_lines=100).splitlines()
    )
    folder = "./meta-llama/Llama-3.1-8B-Instruct"
    for name in ("config.json", "model.safetensors"):
        assert found[f"{folder}/{name}"] == hashlib.sha256(FILES[name]).hexdigest()
    assert f"{folder}/code.bin" not in found
    marker = hashlib.sha256(f"{task.key}\n".encode()).hexdigest()
    assert found[f"{folder}/.shardwright-complete"] == marker
