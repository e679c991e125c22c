"""`list` of what may be listed and read, and what it says of the rest."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest
from click.testing import CliRunner

from shardwright.cli.main import shardwright
from shardwright.deploy.inventory import Inventory, to_object
from shardwright.drive import kube
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object
from shardwright.model.errors import ExitCode, ShardwrightError


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


@pytest.fixture
def one_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        to_object(Inventory(name=n, namespace="ml", revision=3)) for n in ("a", "llama", "z")
    ]
    records[1]["data"]["revision"] = "three"
    cluster = MemoryCluster(*records)
    monkeypatch.setattr(kube, "connect", lambda *_: nullcontext(cluster))


@pytest.mark.usefixtures("one_is_damaged")
def test_a_record_that_cannot_be_read_is_named_beside_the_others() -> None:
    done = CliRunner().invoke(shardwright, ["list"], standalone_mode=False)
    assert done.return_value is ExitCode.INCONCLUSIVE
    assert [line.split("  ")[0].strip() for line in done.stdout.splitlines()] == [
        "ml/a", "ml/z", "ml/llama",
    ]  # fmt: skip
    assert done.stdout.endswith("ml/llama  record not readable\n")
    assert done.stderr.startswith("error: record-not-readable\n")
    assert "cause:  ValueError: invalid literal for int() with base 10: 'three'\n" in done.stderr


@pytest.mark.usefixtures("one_is_damaged")
def test_scripts_are_told_of_it_too() -> None:
    done = CliRunner().invoke(shardwright, ["list", "-o", "json"], standalone_mode=False)
    said = json.loads(done.stdout)
    assert [each["name"] for each in said["endpoints"]] == ["a", "z"]
    (lost,) = said["unreadable"]
    assert (lost["namespace"], lost["name"], lost["code"]) == ("ml", "llama", "record-not-readable")
    assert "three" in lost["cause"]
    assert "kubectl -n ml delete configmap llama-inventory" in lost["remedy"]
    assert done.return_value is ExitCode.INCONCLUSIVE
