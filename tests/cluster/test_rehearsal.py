"""The rendered manifests themselves with the real engine across pods. Minutes, on two cores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from testbed.layout import engines_dir, kubeconfig_path

from shardwright.cli.main import shardwright
from shardwright.drive.kube import connect
from shardwright.model.cluster import ObjectRef

IMAGE = "testbed.local/vllm-cpu:1"
SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: llama-405b}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  engine: {{name: vllm{image}}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 2}}
  parallelism: {{tensor: 8, pipeline: 2}}
  launch: {launch}
"""


@pytest.fixture
def bed(kubeconfig: Path, idle: None) -> Path:
    """The image with the engine is the test bed's own. Members want all GPUs of a node each."""
    if kubeconfig != kubeconfig_path():
        pytest.skip(f"{IMAGE} is only on the test bed; this is {kubeconfig}")
    if not list(engines_dir().glob("*/bin/vllm")):
        pytest.skip(
            "no engine environment here: run `shardwright rehearse` once, then make testbed"
        )
    return kubeconfig


LAUNCHES = (
    "statefulset",
    pytest.param("lws", marks=pytest.mark.long),
    pytest.param("ray-statefulset", marks=pytest.mark.long),
    pytest.param("kuberay", marks=pytest.mark.long),
)


@pytest.mark.parametrize("launch", LAUNCHES)
def test_vllm_over_two_pods(launch: str, bed: Path, tmp_path: Path) -> None:
    """TP=2 x PP=2 over two pods: ready, answering, every rank where the plan has it, all gone."""
    spec = tmp_path / "spec.yaml"
    image = ", image: 'registry.example/vllm-with-ray:0.33.0'" if "ray" in launch else ""
    spec.write_text(SPEC.format(launch=launch, image=image))
    arguments = ["rehearse", str(spec), "--cluster", "--image", IMAGE, "-o", "json"]
    arguments += ["--kubeconfig", str(bed), "--out", str(tmp_path)]
    done = CliRunner().invoke(shardwright, arguments, standalone_mode=False)
    assert done.exception is None, done.output
    report = json.loads(done.stdout)["rehearsal"]
    assert report["passed"]
    if "ray" not in launch:  # Ray puts ranks where GPUs are: its pods reserve none, and may meet
        assert report["nodes"].startswith("pods on node-1, node-2 of a Kubernetes 1.")
    assert [check["name"] for check in report["checks"]] == [
        "health", "models", "chat", "stream", "batch",
    ]  # fmt: skip
    ranks = [(match["member"], match["seen"]["index"]) for match in report["ranks"]]
    assert ranks == [(0, 0), (0, 1), (1, 2), (1, 3)]
    with connect(bed) as cluster:
        left = ObjectRef(api_version="v1", kind="Namespace", name="llama-405b-rehearsal")
        assert cluster.get(left) is None
