"""`bench` by a Job beside an endpoint of the real engine over two pods. Minutes, on two cores."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from testbed.layout import engines_dir, kubeconfig_path
from tests.integration.recount import check, requests_of, steady_of

from shardwright.cli.progress import Progress
from shardwright.cli.rehearse_cluster import Where, own_namespace, scene_of, start_group
from shardwright.cli.resolve import resolve
from shardwright.deploy.preflight import gpu_shortage
from shardwright.drive.kube import KubeCluster, connect

IMAGE = "testbed.local/vllm-cpu:1"
SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {name: benched}
spec:
  model: {id: meta-llama/Llama-3.1-405B-Instruct-FP8}
  engine: {name: vllm}
  cluster: {gpu: H200-SXM, gpusPerNode: 8, nodes: 2}
  parallelism: {tensor: 8, pipeline: 2}
  launch: statefulset
"""
FEW = ("--input-tokens", "24", "--output-tokens", "4", "--percentile", "50", "--concurrency", "2")
TOLD_S = 240
HOW_FAR = re.compile(r"^  [1-9][0-9]* of 5,000 requests answered$", re.MULTILINE)


@dataclass(frozen=True)
class Served:
    """An endpoint on the bed."""

    cluster: KubeCluster
    kubeconfig: Path
    name: str
    namespace: str

    def left(self) -> list[str]:
        """What a bench has left behind."""
        labels = {"app.kubernetes.io/component": "bench"}
        kinds = (("batch/v1", "Job"), ("v1", "ConfigMap"), ("v1", "Pod"))
        return [
            f"{kind}/{found['metadata']['name']}"
            for version, kind in kinds
            for found in self.cluster.list(version, kind, namespace=self.namespace, labels=labels)
        ]

    def command(self, out: Path, *options: object) -> list[str]:
        return [
            sys.executable, "-m", "shardwright", "bench", self.name, "-n", self.namespace,
            "--kubeconfig", str(self.kubeconfig), "--out", str(out), *FEW, *map(str, options),
        ]  # fmt: skip


@pytest.fixture(scope="module")
def served(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if kubeconfig != kubeconfig_path():
        pytest.skip(f"{IMAGE} is only on the test bed; this is {kubeconfig}")
    if not all(list(engines_dir().glob(f"*/bin/{name}")) for name in ("vllm", "aiperf")):
        pytest.skip("no engine and load tool here: shardwright engines install vllm aiperf")
    folder = tmp_path_factory.mktemp("bench")
    spec = folder / "spec.yaml"
    spec.write_text(SPEC)
    where = Where(kubeconfig=kubeconfig, context=None, image=IMAGE, out=folder)
    scene, _ = scene_of(resolve(spec), folder, None, where)
    with connect(kubeconfig) as cluster:
        end = time.monotonic() + TOLD_S
        while gpu_shortage(cluster, scene.plan):  # two GPUs a pod, the rest is free for others
            assert time.monotonic() < end
            time.sleep(5)
        with own_namespace(cluster, scene, Progress()):
            start_group(cluster, scene)
            yield Served(cluster, kubeconfig, scene.plan.name, scene.plan.namespace)


def bench(served: Served, out: Path, *options: object) -> tuple[int, dict[str, object], str]:
    command = served.command(out, *options)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TOLD_S)
    assert (out / "result.json").is_file(), done.stderr
    return done.returncode, json.loads((out / "result.json").read_text()), done.stderr


def test_aiperf_in_a_pod_measures_the_endpoint_beside_it(served: Served, tmp_path: Path) -> None:
    code, result, _ = bench(
        served, tmp_path / "out", "--image", IMAGE, "--requests", 14, "--ttft-ms", 60_000
    )
    assert code in (0, 4)  # 4: these cores were too busy to send in time
    run = result["runs"][0]  # type: ignore[index]
    assert run["measured"]["tool"] == "aiperf"
    requests = requests_of(tmp_path / "out" / "run")
    assert len(requests) == 14
    check(run, requests, steady_of(requests, 2)[0])
    facts = result["environment"]
    assert facts["loaded from"] == f"a Job in namespace {served.namespace}"  # type: ignore[index]
    assert facts["engine"].startswith("vLLM 0.")  # type: ignore[index]
    assert run["server"]["running_max"] >= 1  # the engine's own metrics, scraped by the pod
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Start-up" in page
    assert served.left() == []


def test_where_aiperf_cannot_be_pulled_the_engines_own_load_tool_is_used(
    served: Served, tmp_path: Path
) -> None:
    code, result, said = bench(
        served, tmp_path / "out", "--image", "testbed.local/not-there:1", "--requests", 8,
        "--ttft-ms", 60_000,
    )  # fmt: skip
    assert code in (0, 4)
    assert f"cannot pull testbed.local/not-there:1; using vllm of {IMAGE} instead" in said
    run = result["runs"][0]  # type: ignore[index]
    assert run["measured"]["tool"] == "vllm-bench"
    raw = json.loads((tmp_path / "out" / "run" / "vllm-bench.json").read_text())
    assert (raw["completed"], raw["failed"]) == (8, 0)
    assert raw["output_lens"] == [4] * 8
    assert served.left() == []


def test_progress_is_told_and_an_interrupt_leaves_no_job_behind(
    served: Served, tmp_path: Path
) -> None:
    command = served.command(tmp_path / "out", "--image", IMAGE, "--requests", 5000)
    told = tmp_path / "stderr"
    with told.open("w") as out, subprocess.Popen(command, stderr=out) as process:
        end = time.monotonic() + TOLD_S
        while not HOW_FAR.search(told.read_text()):
            assert time.monotonic() < end, told.read_text()
            assert process.poll() is None, told.read_text()
            time.sleep(2)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=TOLD_S)
    assert process.returncode == 130
    said = told.read_text().splitlines()
    assert said[-1] == "interrupted"
    assert max(map(len, said)) < 80
    assert served.left() == []
