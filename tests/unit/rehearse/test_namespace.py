"""Two rehearsals of one name, and a user's own namespace: nobody's objects are lost."""

from __future__ import annotations

import pytest

from shardwright.drive.kube_memory import MemoryCluster
from shardwright.drive.memory import MemoryClock
from shardwright.model.cluster import Object, ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.rehearse.namespace import REMOVE_S, Holder, acquire, await_removed, release

NAME = "llama-rehearsal"
SPACE = ObjectRef(api_version="v1", kind="Namespace", name=NAME)
ANNA = Holder(run="a1", by="anna@laptop", since="2026-11-27T02:00:00Z")
CI = Holder(run="c1", by="ci@runner", since="2026-11-27T02:05:00Z")
LEAVING = "2026-11-27T02:00:00Z"


def a_space(**metadata: object) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME, **metadata}}


def holder_of(cluster: MemoryCluster) -> str:
    return str(cluster.objects[SPACE]["metadata"]["annotations"]["shardwright.dev/rehearsal-run"])


def refusal(cluster: MemoryCluster, holder: Holder = CI, **options: bool) -> ShardwrightError:
    clock = MemoryClock()
    with pytest.raises(ShardwrightError) as told:
        acquire(cluster, clock, NAME, holder, **options)
    assert clock.now() == 0.0
    return told.value


def test_one_run_has_it_and_removes_it() -> None:
    cluster, clock = MemoryCluster(), MemoryClock()
    uid = acquire(cluster, clock, NAME, ANNA)
    assert holder_of(cluster) == "a1"
    release(cluster, NAME, uid)
    assert await_removed(cluster, clock, NAME, uid).removed == (f"namespace {NAME}",)
    assert SPACE not in cluster.objects


def test_a_second_run_is_told_who_holds_it_and_leaves_it() -> None:
    cluster = MemoryCluster()
    acquire(cluster, MemoryClock(), NAME, ANNA)
    error = refusal(cluster)
    assert error.code == "rehearsal-under-way"
    assert "anna@laptop began 2026-11-27T02:00:00Z" in error.what
    assert error.remedy is not None
    assert "--take-over" in error.remedy
    assert holder_of(cluster) == "a1"


@pytest.mark.parametrize("take_over", [False, True])
def test_a_namespace_of_the_user_is_never_touched(take_over: bool) -> None:
    cluster = MemoryCluster(a_space(uid="theirs"))
    assert refusal(cluster, take_over=take_over).code == "rehearsal-namespace-foreign"
    assert cluster.objects[SPACE]["metadata"]["uid"] == "theirs"


def test_what_a_crashed_run_left_can_be_taken_over_and_is_not_removed_by_it() -> None:
    cluster, clock = MemoryCluster(), MemoryClock()
    old = acquire(cluster, clock, NAME, ANNA)
    new = acquire(cluster, clock, NAME, CI, take_over=True)
    assert (new != old, holder_of(cluster)) == (True, "c1")
    release(cluster, NAME, old)
    assert holder_of(cluster) == "c1"
    assert not await_removed(cluster, clock, NAME, old).remaining


def test_of_two_that_take_over_the_second_does_not_take_from_the_first() -> None:
    class Faster(MemoryCluster):
        """As soon as the old one is deleted, somebody else creates theirs."""

        def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
            done = super().delete(ref, uid=uid)
            acquire(self, MemoryClock(), NAME, ANNA)
            return done

    dead = Holder(run="d1", by="ci@gone", since="2026-11-26T00:00:00Z")
    cluster = Faster()
    acquire(cluster, MemoryClock(), NAME, dead)
    with pytest.raises(ShardwrightError, match="anna@laptop"):
        acquire(cluster, MemoryClock(), NAME, CI, take_over=True)
    assert holder_of(cluster) == "a1"


def test_a_creation_whose_answer_got_lost_is_recognised() -> None:
    cluster = MemoryCluster()
    uid = acquire(cluster, MemoryClock(), NAME, ANNA)
    assert acquire(cluster, MemoryClock(), NAME, ANNA) == uid


def test_one_that_is_leaving_is_waited_for() -> None:
    class Leaving(MemoryCluster):
        """Its namespace is gone after it was asked for so many times."""

        looks_left = 3

        def get(self, ref: ObjectRef) -> Object | None:
            self.looks_left -= 1
            if self.looks_left < 0:
                self.objects.pop(ref, None)
            return super().get(ref)

    clock = MemoryClock()
    acquire(Leaving(a_space(deletionTimestamp=LEAVING)), clock, NAME, ANNA)
    assert clock.now() == 4.0


def test_one_that_never_leaves_is_told_in_the_end() -> None:
    clock = MemoryClock()
    with pytest.raises(ShardwrightError, match="not gone after 120 s"):
        acquire(MemoryCluster(a_space(deletionTimestamp=LEAVING)), clock, NAME, ANNA)
    assert clock.now() == REMOVE_S


def test_another_refusal_is_passed_on() -> None:
    class Closed(MemoryCluster):
        def create(self, obj: Object) -> Object:
            raise ShardwrightError(code="cluster-forbidden", what=obj["kind"], remedy="ask")

    assert refusal(Closed()).code == "cluster-forbidden"
