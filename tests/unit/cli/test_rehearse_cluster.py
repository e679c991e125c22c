"""The namespace of a rehearsal on a cluster: its own, and free before anything is applied."""

from __future__ import annotations

import pytest

from shardwright.cli.rehearse_cluster import REMOVE_S, await_free
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.drive.memory import MemoryClock
from shardwright.model.cluster import Object, ObjectRef
from shardwright.model.errors import ShardwrightError

SPACE = ObjectRef(api_version="v1", kind="Namespace", name="llama-rehearsal")


def a_space(**metadata: str) -> Object:
    meta = {"name": SPACE.name, **metadata}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


class Leaving(MemoryCluster):
    """Its namespace is gone after it was asked for so many times."""

    looks_left = 3

    def get(self, ref: ObjectRef) -> Object | None:
        self.looks_left -= 1
        return super().get(ref) if self.looks_left >= 0 else None


def test_a_namespace_that_is_leaving_is_waited_for() -> None:
    clock = MemoryClock()
    await_free(Leaving(a_space(deletionTimestamp="2026-11-27T02:00:00Z")), clock, SPACE)
    assert clock.now() == 3.0


def test_a_namespace_in_use_is_refused_at_once() -> None:
    clock = MemoryClock()
    with pytest.raises(ShardwrightError, match="another rehearsal runs"):
        await_free(MemoryCluster(a_space()), clock, SPACE)
    assert clock.now() == 0.0


def test_a_namespace_that_never_leaves_is_refused_in_the_end() -> None:
    clock = MemoryClock()
    with pytest.raises(ShardwrightError, match="llama-rehearsal exists"):
        await_free(MemoryCluster(a_space(deletionTimestamp="2026-11-27T02:00:00Z")), clock, SPACE)
    assert clock.now() == REMOVE_S
