"""Two that change one endpoint at once: who is told what, who goes on, and what is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from tests.unit.deploy.test_rollout import READY, TARGET, Kubelet, manifests

from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.lock import DEAD_S, Holder, Lock
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.removal import find_inventory, read_inventory, remove
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.target import Event, Told
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.drive.memory import MemoryClock
from shardwright.model.cluster import Cluster, Object, ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Clock

ANNA = Holder(by="anna@laptop (process 41)", command="deploy", since="2026-11-27T02:00:00Z")
CI = Holder(by="ci@runner (process 7)", command="delete", since="2025-01-01T00:00:00Z")
ANNAS = "anna@laptop (process 41) began deploy at 2026-11-27T02:00:00Z by its clock"
LOCK = ObjectRef(api_version="v1", kind="ConfigMap", name="llama-lock", namespace="ml")
THING: Object = {
    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "thing", "namespace": "ml"},
}  # fmt: skip


class Meanwhile(MemoryClock):
    """Time in which somebody else does something, second by second."""

    def __init__(self, does: Callable[[], Any]) -> None:
        super().__init__()
        self.does = does

    def sleep(self, duration_s: float) -> None:
        super().sleep(duration_s)
        self.does()


def lock(
    cluster: Cluster, holder: Holder, clock: Clock | None = None, told: list[Event] | None = None
) -> Lock:
    tell = (lambda _: None) if told is None else told.append
    return Lock(cluster, clock or MemoryClock(), ("llama", "ml"), holder, tell)


def begun(taken: Lock) -> tuple[Cluster, AbstractContextManager[Cluster]]:
    """Hold a lock until somebody ends it, or for good, as one does that dies."""
    held = taken.held()
    return held.__enter__(), held


def deploy(
    cluster: Cluster, clock: Clock, image: str, tell: Callable[[Event], None] = lambda _: None
) -> Outcome:
    objects = manifests(image)
    return Rollout(cluster, clock, TARGET, tell).deploy(
        objects, planned_changes(cluster, TARGET, objects)
    )


def stored(cluster: MemoryCluster) -> dict[ObjectRef, Object]:
    """Everything but pods, which the kubelet writes, and the lock, which is renewed."""
    return {r: o for r, o in cluster.objects.items() if r.kind != "Pod" and r != LOCK}


def image_of(cluster: MemoryCluster) -> str:
    found = next(obj for ref, obj in cluster.objects.items() if ref.kind == "StatefulSet")
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


def test_a_second_deployment_is_refused_and_told_by_whom(cluster: MemoryCluster) -> None:
    annas = lock(cluster, ANNA)
    refused: list[ShardwrightError] = []
    waited: list[float] = []

    def ci_tries(event: Event) -> None:
        if refused:
            return
        clock = Meanwhile(lambda: clock.now() == 4.0 and annas.renew())
        before = stored(cluster)
        with (
            pytest.raises(ShardwrightError) as caught,
            lock(cluster, CI, clock).held() as held,
        ):
            deploy(held, Kubelet(cluster, READY), "vllm:2")
        assert stored(cluster) == before
        refused.append(caught.value)
        waited.append(clock.now())

    with annas.held() as held:
        outcome = deploy(held, Kubelet(cluster, READY), "vllm:1", ci_tries)
    assert (outcome.result, outcome.revision) == (Result.READY, 1)
    assert image_of(cluster) == "vllm:1"
    error = refused[0]
    assert error.code == "endpoint-busy"
    assert ANNAS in error.what
    assert waited == [4.0]
    assert LOCK not in cluster.objects
    clock = MemoryClock()
    with lock(cluster, CI, clock).held() as held:
        assert deploy(held, Kubelet(cluster, READY), "vllm:2").revision == 2
    assert clock.now() == 0.0


def test_one_that_slept_through_a_takeover_changes_nothing_any_more(cluster: MemoryCluster) -> None:
    class Lid(Kubelet):
        """The laptop sleeps while it waits for its pods, and CI deploys meanwhile."""

        def sleep(self, duration_s: float) -> None:
            super().sleep(duration_s)
            if not after:
                with lock(cluster, CI).held() as held:
                    kubelet = Kubelet(cluster, READY)
                    assert deploy(held, kubelet, "vllm:2").result is Result.READY
                after.update(stored(cluster))

    after: dict[ObjectRef, Object] = {}
    with pytest.raises(ShardwrightError) as caught, lock(cluster, ANNA).held() as held:
        deploy(held, Lid(cluster, {}, READY), "vllm:1")
    assert caught.value.code == "endpoint-taken-over"
    assert after
    assert stored(cluster) == after
    assert image_of(cluster) == "vllm:2"
    record = read_inventory(cluster, "llama", "ml")
    assert record is not None
    assert (record.revision, record.pending) == (1, False)


def test_a_holder_that_died_is_passed_over_after_a_while(cluster: MemoryCluster) -> None:
    annas, kept = begun(lock(cluster, ANNA))
    told: list[Event] = []
    clock = MemoryClock()
    with lock(cluster, CI, clock, told).held():
        assert clock.now() == DEAD_S == 30.0
        assert cluster.objects[LOCK]["data"]["by"] == CI.by
        with pytest.raises(ShardwrightError) as caught:
            annas.apply(THING)
        assert caught.value.code == "endpoint-taken-over"
        with pytest.raises(ShardwrightError):  # nor does it look on and call that ready
            annas.get(LOCK)
        kept.__exit__(None, None, None)
        assert cluster.objects[LOCK]["data"]["by"] == CI.by
    assert [each.text for each in told if isinstance(each, Told)] == [
        f"{ANNAS}: looking up to 30 s if it lives",
        "ConfigMap/llama-lock was not renewed: its holder died, going on",
    ]
    assert not cluster.objects


def test_of_two_that_find_a_dead_holder_one_goes_on() -> None:
    other = Holder(by="ben@desk (process 9)", command="deploy", since="2026-11-27T02:10:00Z")

    class Faster(MemoryCluster):
        """Ben is quicker: the lock that CI deletes is his by then."""

        def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
            if not bens:
                super().delete(ref, uid=uid)
                bens.append(begun(lock(self, other)))
            return super().delete(ref, uid=uid)

    bens: list[Any] = []
    cluster = Faster()
    dead = begun(lock(cluster, ANNA))
    with pytest.raises(ShardwrightError) as caught, lock(cluster, CI).held():
        pass
    assert caught.value.code == "endpoint-busy"
    assert "ben@desk" in caught.value.what
    assert cluster.objects[LOCK]["data"]["by"] == other.by
    assert dead


def test_a_lock_released_while_one_watches_is_taken_at_once(cluster: MemoryCluster) -> None:
    _, kept = begun(lock(cluster, ANNA))
    clock = Meanwhile(lambda: clock.now() == 2.0 and kept.__exit__(None, None, None))
    with lock(cluster, CI, clock).held():
        assert clock.now() == 2.0
        assert cluster.objects[LOCK]["data"]["by"] == CI.by


def test_a_lock_released_before_one_can_look_at_it_is_taken_at_once() -> None:
    class Released(MemoryCluster):
        """Anna is done between the two requests of CI."""

        def get(self, ref: ObjectRef) -> Object | None:
            kept.__exit__(None, None, None)
            return super().get(ref)

    cluster, clock = Released(), MemoryClock()
    _, kept = begun(lock(cluster, ANNA))
    with lock(cluster, CI, clock).held():
        assert clock.now() == 0.0
        assert cluster.objects[LOCK]["data"]["by"] == CI.by


def test_an_interrupted_deployment_releases_at_once_and_is_gone_on_with(
    cluster: MemoryCluster,
) -> None:
    def interrupt(_: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), lock(cluster, ANNA).held() as held:
        deploy(held, Kubelet(cluster, READY), "vllm:1", interrupt)
    assert LOCK not in cluster.objects
    record = read_inventory(cluster, "llama", "ml")
    assert record is not None
    assert record.pending
    clock = MemoryClock()
    with lock(cluster, ANNA, clock).held() as held:
        assert deploy(held, Kubelet(cluster, READY), "vllm:1").result is Result.READY
    assert clock.now() == 0.0


class Killed(BaseException):
    """The process ends here, without any clean-up."""


class Mortal(MemoryCluster):
    """A cluster that nothing reaches any more from the given request on."""

    dies_at: int | None = None
    num_requests = 0

    def __getattribute__(self, name: str) -> Any:
        if name in ("get", "list", "apply", "create", "delete"):
            self.num_requests += 1
            if self.dies_at is not None and self.num_requests >= self.dies_at:
                raise Killed
        return super().__getattribute__(name)


def both(cluster: Mortal) -> Iterator[None]:
    """Deploy, then delete with the claims; each under its lock."""
    with lock(cluster, ANNA).held() as held:
        deploy(held, Kubelet(cluster, READY), "vllm:1")
    yield
    with lock(cluster, CI).held() as held:
        record = find_inventory(held, "llama", "ml")
        if record is not None:
            remove(held, record, purge=True)
    yield


def test_killed_at_any_request_a_second_run_ends_the_same_and_leaves_no_lock() -> None:
    whole = Mortal()
    steps = both(whole)
    next(steps)
    num_deploying = whole.num_requests
    wanted = set(stored(whole))
    next(steps)
    assert whole.num_requests > num_deploying > 20
    for dies_at in range(1, whole.num_requests + 1):
        cluster = Mortal()
        cluster.dies_at = dies_at
        with pytest.raises(Killed):
            list(both(cluster))
        cluster.dies_at = None
        steps = both(cluster)
        next(steps)
        assert set(stored(cluster)) == wanted
        assert LOCK not in cluster.objects
        next(steps)
        assert {ref.kind for ref in cluster.objects} == {"Pod"}


def test_a_refusal_of_a_renewal_that_is_still_ours_is_told_as_it_is(cluster: MemoryCluster) -> None:
    with lock(cluster, ANNA).held() as held:
        refusal = ShardwrightError(code="object-refused", what="no more today", remedy="tomorrow")
        cluster.refuses["ConfigMap"] = refusal
        with pytest.raises(ShardwrightError, match="no more today"):
            held.apply(THING)
        cluster.refuses.clear()
        held.apply(THING)


def test_a_config_map_of_the_user_is_never_taken_for_a_lock(cluster: MemoryCluster) -> None:
    cluster.apply({**THING, "metadata": {"name": LOCK.name, "namespace": LOCK.namespace}})
    before = stored(cluster), cluster.objects[LOCK]
    with pytest.raises(ShardwrightError) as caught, lock(cluster, CI).held():
        pass
    assert caught.value.code == "name-of-the-lock-taken"
    assert (stored(cluster), cluster.objects[LOCK]) == before


def test_the_lock_deleted_by_hand_stops_its_holder(cluster: MemoryCluster) -> None:
    with lock(cluster, ANNA).held() as held:
        cluster.delete(LOCK)
        with pytest.raises(ShardwrightError) as caught:
            held.apply(THING)
    assert caught.value.code == "endpoint-taken-over"
    assert not cluster.objects
