"""`list` of somebody whose role is in some namespaces alone."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from click.testing import CliRunner

from shardwright.cli.main import shardwright
from shardwright.deploy.inventory import Inventory, to_object
from shardwright.drive import kube
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError


class OneNamespace(MemoryCluster):
    """Lets nobody list over all namespaces."""

    default_namespace = "ml"

    def list(
        self, api_version: str, kind: str, *, namespace: str | None = None, **options: Any
    ) -> tuple[Object, ...]:
        if namespace is None:
            raise ShardwrightError(code="cluster-forbidden", what="no", remedy="ask for a Role")
        return super().list(api_version, kind, namespace=namespace, **options)


def test_who_may_not_list_all_namespaces_is_told_to_name_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = OneNamespace(to_object(Inventory(name="llama", namespace="ml")))
    monkeypatch.setattr(kube, "connect", lambda *_: nullcontext(cluster))
    done = CliRunner().invoke(shardwright, ["list"], standalone_mode=False)
    assert isinstance(done.exception, ShardwrightError)
    assert done.exception.remedy == "shardwright list -n ml, or another namespace"
    named = CliRunner().invoke(shardwright, ["list", "-n", "ml"], standalone_mode=False)
    assert named.output.startswith("ml/llama")
