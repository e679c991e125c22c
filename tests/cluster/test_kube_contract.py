"""The adapter of the real API server keeps the contract that the one in memory keeps."""

from __future__ import annotations

from tests.cluster_contract import ClusterContract


class TestKubeCluster(ClusterContract):
    """The same cases as in tests/unit/drive/test_kube_memory.py."""
