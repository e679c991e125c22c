"""A real API server for these tests: the one named by the environment, or the test bed.

SHARDWRIGHT_TEST_KUBECONFIG names any kubeconfig (kind, a spare cluster). Without it a running test
bed is used. With neither, the tests skip and say how to get one; a named cluster that does not
answer is a failure, never a skip.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from lightkube import Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace
from testbed.layout import kubeconfig_path


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
def namespace(client: Client) -> Iterator[str]:
    """A namespace of its own for one test, removed with all it holds."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create(Namespace(metadata=ObjectMeta(name=name)))
    yield name
    client.delete(Namespace, name, grace_period=0)
