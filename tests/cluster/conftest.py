"""A real API server for these tests: the one named by the environment, or the test bed.

SHARDWRIGHT_TEST_KUBECONFIG names any kubeconfig (kind, a spare cluster). Without it a running test
bed is used. With neither, the tests skip and say how to get one; a named cluster that does not
answer is a failure, never a skip.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from lightkube import Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, Pod
from testbed import components
from testbed.layout import engines_dir, kubeconfig_path

from shardwright.drive.kube import KubeCluster, connect

GPUS_BACK_S = 90
"""A pod may take its whole grace, 30 s, and the kubelet some more."""


def pytest_configure() -> None:
    """End like Ctrl-C when told to stop, so that namespaces, taints and cordons are taken back."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    named = os.environ.get("SHARDWRIGHT_TEST_KUBECONFIG")
    if named:
        return Path(named)
    if kubeconfig_path().exists():
        return kubeconfig_path()
    pytest.skip("no cluster: run `make testbed`, or set SHARDWRIGHT_TEST_KUBECONFIG")


@pytest.fixture(scope="session")
def client(kubeconfig: Path) -> Iterator[Client]:
    with Client(config=KubeConfig.from_file(kubeconfig)) as client:
        yield client


@pytest.fixture
def cluster(kubeconfig: Path) -> Iterator[KubeCluster]:
    with connect(kubeconfig) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def engine_bed(kubeconfig: Path) -> Iterator[Path]:
    """The test bed, whose image holds the real engine, with its kubectl to be found."""
    if kubeconfig != kubeconfig_path():
        pytest.skip(f"needs the test bed; this is {kubeconfig}")
    if not list(engines_dir().glob("*/bin/vllm")):
        pytest.skip("no engine environment here: run `shardwright engines install vllm` first")
    programs = components.directory(components.KUBERNETES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        yield kubeconfig


@pytest.fixture
def idle(client: Client) -> None:
    """Wait until no pod reserves a GPU: namespaces of earlier tests end in the background."""
    end = time.monotonic() + GPUS_BACK_S
    while holders := sorted(
        f"{pod.metadata.namespace}/{pod.metadata.name}"  # type: ignore[union-attr]
        for pod in client.list(Pod, namespace="*")
        if reserves_gpu(pod)
    ):
        assert time.monotonic() < end, f"GPUs are still reserved by {', '.join(holders)}"
        time.sleep(2)


def reserves_gpu(pod: Pod) -> bool:
    if pod.spec is None or (pod.status and pod.status.phase in ("Succeeded", "Failed")):
        return False
    sizes = [each.resources.limits for each in pod.spec.containers if each.resources]
    on_bed = not (pod.spec.nodeName or "").startswith("fake-")
    return on_bed and any("nvidia.com/gpu" in (limits or {}) for limits in sizes)


@pytest.fixture
def namespace(client: Client) -> Iterator[str]:
    """A namespace of its own for one test, removed with all it holds."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create(Namespace(metadata=ObjectMeta(name=name)))
    yield name
    client.delete(Namespace, name, grace_period=0)
