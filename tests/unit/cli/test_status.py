"""`status --watch` ends when there is nothing left to wait for."""

import pytest

from shardwright.cli.status import WATCH_S, looked_at
from shardwright.deploy.inventory import Inventory, inventory_ref, to_object
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
