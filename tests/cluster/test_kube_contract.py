"""The adapter of the real API server keeps the contract that the one in memory keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster_contract import ClusterContract

from shardwright.drive.kube import KubeCluster, connect


class TestKubeCluster(ClusterContract):
    """The same cases as in tests/unit/drive/test_kube_memory.py."""

    @pytest.fixture
    def cluster(self, kubeconfig: Path) -> Iterator[KubeCluster]:
        with connect(kubeconfig) as cluster:
            yield cluster
