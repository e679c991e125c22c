"""`status --watch` ends when there is nothing left to wait for."""

import pytest

from shardwright.cli.status import WATCH_S, looked_at, owned_by
from shardwright.deploy.inventory import INSTANCE, MANAGED, Inventory, inventory_ref, to_object
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.drive.memory import MemoryClock
from shardwright.model.errors import ExitCode, ShardwrightError


def test_an_endpoint_deleted_meanwhile_is_not_waited_for():
    cluster, clock = (
        MemoryCluster(to_object(Inventory(name="llama", namespace="ml"))),
        MemoryClock(),
    )
    looks = looked_at(cluster, clock, "llama", "ml")
    assert not next(looks).is_ready
    cluster.delete(inventory_ref("llama", "ml"))
    with pytest.raises(ShardwrightError, match="no endpoint llama in namespace ml") as caught:
        next(looks)
    assert caught.value.exit_code is ExitCode.USAGE
    assert clock.now() == WATCH_S


def test_the_claims_of_a_deleted_endpoint_are_no_endpoint_but_can_be_purged():
    """It would be called deploying, and `status --watch` would wait for it for ever."""
    meta = {"name": "llama-models", "namespace": "ml", "labels": {**MANAGED, INSTANCE: "llama"}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
    cluster = MemoryCluster(claim)
    with pytest.raises(ShardwrightError) as caught:
        owned_by(cluster, "llama", "ml")
    assert caught.value.what == (
        "there is no endpoint llama in namespace ml; it was deleted, and "
        "PersistentVolumeClaim/llama-models kept"
    )
    found = owned_by(cluster, "llama", "ml", with_claims_alone=True)
    assert [each.name for each in found.owned] == ["llama-models"]
