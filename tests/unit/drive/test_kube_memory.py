"""The API server in memory keeps the contract of the real one."""

from __future__ import annotations

import pytest
from tests.cluster_contract import NO_KIND, ClusterContract

from shardwright.drive.kube_memory import MemoryCluster


class TestMemoryCluster(ClusterContract):
    """Run by `make check`; the real adapter runs the same cases on the test bed."""

    @pytest.fixture
    def namespace(self) -> str:
        return "serving"

    @pytest.fixture
    def cluster(self, namespace: str) -> MemoryCluster:
        meta = {"name": namespace}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        return MemoryCluster(space, unserved=frozenset({NO_KIND.kind}))
