"""Weights from a bucket into a claim, by the rendered Job: a real S3 store in a pod beside it.

`deploy` waits for that Job, tells what it says, and applies what holds GPUs only then.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from testbed.layout import engines_dir, kubeconfig_path
from testbed.stock import ENGINE_IMAGE, SHELL_IMAGE
from tests.cluster.small_endpoint import deployment

from shardwright.cli.deploy import Deployment, look
from shardwright.cli.render import launch_plan
from shardwright.cli.rollout_output import event_line
from shardwright.deploy.inventory import COMPONENT
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.removal import find_inventory, remove
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.target import Event, Waiting, target_of
from shardwright.drive.clock import SystemClock
from shardwright.drive.kube import KubeCluster
from shardwright.model.cluster import Object, ObjectRef, reference
from shardwright.model.process import EnvVar
from shardwright.model.text import text
from shardwright.render.emit import plain
from shardwright.render.jobs import job
from shardwright.render.storage import claim_object, config_object

PACKAGES = ("moto[server]==5.2.5", "boto3==1.44.8")
LIMIT_S = 180
SOURCE = """\
  access: {s3Secret: bucket-keys}
  network: {s3Endpoint: "http://store:5000", s3Region: us-east-1}
"""
SPEC = """
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: llama, namespace: {namespace}}}
spec:
  model: {{id: meta-llama/Llama-3.1-8B-Instruct, source: "s3://models/llama"}}
  cluster: {{gpu: H100-SXM, gpusPerNode: 8, nodes: 1}}
  parallelism: {{tensor: 1}}
  storage: {{size: 1Gi}}
""" + SOURCE.replace("{", "{{").replace("}", "}}")
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40_000, "code.bin": b"x"}
"""10 MB of weights, so that they come in several ranges; a format that runs code stays behind."""
SERVE = """
import os, socket, threading, time
import boto3
from moto.server import ThreadedMotoServer
ThreadedMotoServer(ip_address="127.0.0.1", port=5001).start()
s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:5001")
s3.create_bucket(Bucket="models")
for name, body in {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 40_000,
                   "code.bin": b"x"}.items():
    s3.put_object(Bucket="models", Key=f"llama/{name}", Body=body, ChecksumAlgorithm="SHA256")
def pass_on(source, sink, pause_s):
    while block := source.recv(65536):
        sink.sendall(block)
        time.sleep(pause_s)
    sink.shutdown(socket.SHUT_WR)
entry = socket.create_server(("0.0.0.0", 5000))
while True:  # a line of limited speed in front of the store
    client, _ = entry.accept()
    inner = socket.create_connection(("127.0.0.1", 5001))
    threading.Thread(target=pass_on, args=(client, inner, 0), daemon=True).start()
    pause_s = float(os.environ["PAUSE_S"])
    threading.Thread(target=pass_on, args=(inner, client, pause_s), daemon=True).start()
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


def store(namespace: str, libraries: str, pause_s: float = 0) -> tuple[Object, ...]:
    """Write a store. pause_s: between two pieces of at most 64 KiB that it sends."""
    meta: dict[str, Any] = {"name": "store", "namespace": namespace, "labels": {"app": "store"}}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    env = {**keys, "PYTHONPATH": libraries, "AWS_DEFAULT_REGION": "us-east-1", "HOME": "/tmp"}
    env["PAUSE_S"] = str(pause_s)
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


def small_with_download(folder: Path, namespace: str, libraries: str) -> Deployment:
    """Plan a small endpoint whose weights come from the store, by the program that always does."""
    made = deployment(folder, namespace)
    spec = (folder / "spec.yaml").read_text().replace("-FP8}", '-FP8, source: "s3://models/llama"}')
    (folder / "spec.yaml").write_text(spec + SOURCE)
    planned = launch_plan(folder / "spec.yaml")
    (task,) = planned.tasks
    path = EnvVar(name="PYTHONPATH", value=text(libraries))
    task = replace(task, image=ENGINE_IMAGE, env=(*task.env, path))
    configs = tuple(each for each in planned.configs if each.name.endswith("-download"))
    return replace(
        made,
        launch=replace(made.launch, tasks=(task,), configs=configs, secrets=planned.secrets),
    )


def test_no_pod_holds_a_gpu_while_the_weights_come(
    cluster: KubeCluster, namespace: str, libraries: str, tmp_path: Path
) -> None:
    """Cut off in the middle of the download, a second deploy goes on with the same Job."""
    made = small_with_download(tmp_path, namespace, libraries)
    for each in store(namespace, libraries, pause_s=0.15):  # 10 MB in 160 pieces or more: 24 s
        cluster.apply(each)
    wait(cluster, reference(store(namespace, libraries)[-1]), "phase", "Running")
    told: list[str] = []

    def deploy(tell: Callable[[Event], None]) -> Outcome:
        findings, decision = look(cluster, made, "auto", 60)
        assert decision is not None, findings
        rollout = Rollout(cluster, SystemClock(), target_of(made.launch, 60), tell)
        return rollout.deploy(decision.objects, decision.changes, slot=decision.slot)

    def serving() -> tuple[Object, ...]:
        return cluster.list("v1", "Pod", namespace=namespace, labels={COMPONENT: "serving"})

    def jobs() -> list[str]:
        found = cluster.list("batch/v1", "Job", namespace=namespace)
        return [each["metadata"]["uid"] for each in found]

    def until_it_comes(event: Event) -> None:
        if isinstance(event, Waiting) and " MB, " in event.what:
            told.append(event.what)
            assert serving() == ()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy(until_it_comes)
    assert re.fullmatch(r"download: \d\.\d of 10\.2 MB, \d\.\d MB/s", told[0])
    before = jobs()
    outcome = deploy(lambda event: told.append(event_line(event)))
    assert (outcome.result, outcome.revision) == (Result.READY, 1), told
    assert jobs() == before
    done = next(i for i, line in enumerate(told) if "is done after" in line)
    assert "download: 2 files of s3://models/llama are whole" in told[done]
    first = next(i for i, line in enumerate(told) if "StatefulSet/" in line)
    assert done < first
    record = find_inventory(cluster, "small", namespace)
    assert record is not None
    remove(cluster, record, purge=True)
