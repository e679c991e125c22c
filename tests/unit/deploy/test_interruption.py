"""Killed between any two requests, a deployment goes on when it is run again and leaves no orphan.

Controllers are acted out: jobs are done at once; StatefulSets make pods, which are ready at once,
and take them along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shardwright.cli.render import launch_plan
from shardwright.deploy.changes import Verb
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.removal import find_inventory, remove
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.slot_objects import slot_objects
from shardwright.deploy.slots import Slot
from shardwright.deploy.target import target_of
from shardwright.deploy.verification import Verifier
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object, ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan
from shardwright.model.running import Reply

REQUEST = Path(__file__).parents[2] / "golden" / "render" / "vllm-statefulset" / "request.yaml"
READY = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]


class Killed(BaseException):
    """The process ends here, without any clean-up."""


class ActedCluster(MemoryCluster):
    """A cluster with controllers, that ends its caller at the given request."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Answering()
        self.dies_at: int | None = None
        self.num_requests = 0
        self.on_apply = self._act

    def get(self, ref: ObjectRef) -> Object | None:
        self._count()
        return super().get(ref)

    def list(self, *args: Any, **options: Any) -> tuple[Object, ...]:
        self._count()
        return super().list(*args, **options)

    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        self._count()
        return super().apply(obj, dry_run=dry_run)

    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool:
        self._count()
        gone = self.objects.get(self._key(ref))
        if gone is None or not super().delete(ref, uid=uid):
            return False
        if gone["kind"] == "StatefulSet":
            for pod in [r for r in self.objects if r.kind == "Pod" and _owner(r) == ref.name]:
                del self.objects[pod]
        if gone["kind"] == "Pod":
            owner = replace(ref, api_version="apps/v1", kind="StatefulSet", name=_owner(ref))
            self._act(self.objects[self._key(owner)])
        return True

    def _count(self) -> None:
        self.num_requests += 1
        if self.num_requests == self.dies_at:
            raise Killed

    def _act(self, obj: Object) -> None:
        if obj["kind"] == "Job":
            self.put({**obj, "status": {"conditions": [{"type": "Complete", "status": "True"}]}})
        if obj["kind"] != "StatefulSet":
            return
        template = obj["spec"]["template"]
        revision = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        name, meta = obj["metadata"]["name"], obj["metadata"]
        status = {"updateRevision": revision}
        self.put({**obj, "metadata": {**meta, "uid": name}, "status": status})
        for index in range(obj["spec"]["replicas"]):
            pod = f"{name}-{index}"
            ref = ObjectRef(api_version="v1", kind="Pod", name=pod, namespace=meta["namespace"])
            if ref not in self.objects:
                labels = template["metadata"]["labels"] | {"controller-revision-hash": revision}
                self.put(
                    {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "metadata": {
                            "name": pod,
                            "namespace": meta["namespace"],
                            "uid": f"{pod}-{revision}",
                            "labels": labels,
                            "ownerReferences": [{"kind": "StatefulSet", "name": name, "uid": name}],
                        },
                        "spec": template["spec"],
                        "status": {"conditions": READY},
                    }
                )


def _owner(ref: ObjectRef) -> str:
    return ref.name.rpartition("-")[0]


class Answering:
    """An endpoint that answers everything well."""

    def send(
        self, url: str, *, body: Mapping[str, Any] | None, key: str | None, timeout_s: float
    ) -> Reply:
        value: Any = {"choices": [{"text": "4"}], "usage": {"completion_tokens": 8}}
        if url.endswith("/models"):
            value = {"data": [{"id": "meta-llama/Llama-3.1-405B-Instruct-FP8"}]}
        return Reply(status=200, body=json.dumps(value).encode())

    def stream(self, url: str, **_: Any) -> Iterator[str]:
        yield json.dumps({"choices": [{"text": "4"}]})
        yield "[DONE]"


class Refusing(Answering):
    """An API server that passes no request of one method on."""

    def __init__(self, method: str) -> None:
        self.method = method

    def send(self, url: str, *, body: Mapping[str, Any] | None, **options: Any) -> Reply:
        if self.method == "GET" or body is not None:
            return Reply(status=403, body=b'services "llama" is forbidden')
        return super().send(url, body=body, **options)


class Clock:
    """Time that passes when somebody sleeps."""

    time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, duration_s: float) -> None:
        self.time += duration_s


@pytest.fixture(scope="module")
def plan() -> LaunchPlan:
    made = launch_plan(REQUEST)
    endpoint = replace(made.endpoints[0], api_key=None)
    return replace(made, endpoints=(endpoint,))


def changed(plan: LaunchPlan) -> LaunchPlan:
    members = tuple(replace(each, image="vllm:next") for each in plan.group.members)
    return replace(plan, group=replace(plan.group, members=members))


def leader_changed(plan: LaunchPlan) -> LaunchPlan:
    """As Ray and MPI have it, where the engine's arguments are the leader's alone."""
    leader, *workers = plan.group.members
    members = (replace(leader, image="vllm:next"), *workers)
    return replace(plan, group=replace(plan.group, members=members))


@cache
def rendered(plan: LaunchPlan, slot: Slot) -> tuple[Object, ...]:
    return slot_objects(plan, slot)


def run(cluster: MemoryCluster, plan: LaunchPlan, slot: Slot) -> Outcome:
    objects = rendered(plan, slot)
    target = target_of(plan)
    clock = Clock()
    changes = planned_changes(cluster, target, objects)
    verifier = Verifier(cluster, clock, plan)
    rollout = Rollout(cluster, clock, target, lambda _: None, verifier)
    return rollout.deploy(objects, changes, slot=slot)


def left(cluster: MemoryCluster) -> dict[str, Any]:
    """Everything in the cluster but what only counts or names."""
    own = ("resourceVersion",)
    return {
        str(ref): {
            **obj,
            "metadata": {k: v for k, v in obj["metadata"].items() if k not in own},
        }
        for ref, obj in sorted(cluster.objects.items())
    }


Case = Callable[[LaunchPlan], tuple[list[tuple[LaunchPlan, Slot]], tuple[LaunchPlan, Slot]]]
CASES: dict[str, Case] = {
    "first": lambda plan: ([], (plan, Slot.OWN)),
    "in-place": lambda plan: ([(plan, Slot.OWN)], (changed(plan), Slot.OWN)),
    "leader-alone": lambda plan: ([(plan, Slot.OWN)], (leader_changed(plan), Slot.OWN)),
    "beside": lambda plan: ([(plan, Slot.OWN)], (changed(plan), Slot.GREEN)),
    "back": lambda plan: (
        [(plan, Slot.OWN), (changed(plan), Slot.GREEN)],
        (plan, Slot.OWN),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_killed_at_any_request_a_second_run_ends_the_same(name: str, plan: LaunchPlan) -> None:
    before, last = CASES[name](plan)

    start = ActedCluster()
    for step in before:
        assert run(start, *step).result is Result.READY

    def prepared() -> ActedCluster:
        cluster = ActedCluster()
        cluster.objects = dict(start.objects)  # stored objects are replaced, never changed
        return cluster

    whole = prepared()
    assert run(whole, *last).result is Result.READY
    wanted = left(whole)
    for dies_at in range(1, whole.num_requests + 1):
        cluster = prepared()
        cluster.dies_at = dies_at
        with pytest.raises(Killed):
            run(cluster, *last)
        cluster.dies_at = None
        outcome = run(cluster, *last)
        assert outcome.result in (Result.READY, Result.UNCHANGED)
        found = left(cluster)
        assert found.keys() == wanted.keys(), f"killed at request {dies_at}"
        assert found == wanted, f"killed at request {dies_at}"
        assert outcome.revision == len(before) + 1


@pytest.mark.parametrize("slot", list(Slot))
def test_a_lost_record_is_rebuilt_and_what_serves_is_not_touched(
    slot: Slot, plan: LaunchPlan
) -> None:
    cluster = ActedCluster()
    run(cluster, plan, Slot.OWN)
    if slot is Slot.GREEN:
        run(cluster, changed(plan), Slot.GREEN)
    now = plan if slot is Slot.OWN else changed(plan)
    record = find_inventory(cluster, plan.name, plan.namespace)
    assert record is not None
    del cluster.objects[next(r for r in cluster.objects if r.name.endswith("-inventory"))]
    rebuilt = find_inventory(cluster, plan.name, plan.namespace)
    assert rebuilt is not None
    assert (rebuilt.slot, set(rebuilt.owned)) == (slot.value, set(record.owned))
    pods = {k: v for k, v in left(cluster).items() if k.startswith("Pod/")}
    changes = planned_changes(cluster, target_of(now), slot_objects(now, slot))
    assert {each.verb for each in changes} == {Verb.KEEP}
    assert run(cluster, now, slot).result is Result.READY
    assert pods == {k: v for k, v in left(cluster).items() if k.startswith("Pod/")}
    remove(cluster, find_inventory(cluster, plan.name, plan.namespace) or rebuilt, purge=True)
    assert [str(ref) for ref in cluster.objects] == []


def test_the_name_of_a_group_is_not_taken_for_an_endpoint(plan: LaunchPlan) -> None:
    """`delete llama-green` would end what serves llama, and a deployment overwrite it."""
    cluster = ActedCluster()
    run(cluster, plan, Slot.OWN)
    name = f"{plan.name}-green"
    assert find_inventory(cluster, name, plan.namespace) is None
    run(cluster, changed(plan), Slot.GREEN)
    with pytest.raises(ShardwrightError) as caught:
        find_inventory(cluster, name, plan.namespace)
    assert caught.value.code == "name-of-a-group"


@pytest.mark.parametrize(
    ("verb", "asked"), [("create", ["health"]), ("get", [])], ids=["no-post", "no-proxy"]
)
def test_who_may_not_ask_an_endpoint_deploys_it_all_the_same(
    verb: str, asked: list[str], plan: LaunchPlan
) -> None:
    """Preflight warns of the missing right; the server's 403 is no fault of the endpoint."""
    cluster = ActedCluster()
    cluster.forbidden |= {(verb, "Service/proxy"), (verb, "Pod/proxy")}
    cluster.client = Refusing("POST" if verb == "create" else "GET")
    outcome = run(cluster, plan, Slot.OWN)
    assert outcome.result is Result.READY
    assert outcome.verification is not None
    assert [each.name for each in outcome.verification.checks] == asked
    assert run(cluster, changed(plan), Slot.GREEN).result is Result.READY


def test_a_pod_that_its_controller_replaced_meanwhile_is_not_deleted(plan: LaunchPlan) -> None:
    """The pod listed and the pod deleted have one name, and may be two."""
    cluster = ActedCluster()
    run(cluster, plan, Slot.OWN)
    deleted: list[tuple[str, str | None]] = []
    delete = cluster.delete

    def noted(ref: ObjectRef, *, uid: str | None = None) -> bool:
        if ref.kind == "Pod":
            deleted.append((ref.name, uid))
        return delete(ref, uid=uid)

    before = {
        (ref.name, obj["metadata"]["uid"])
        for ref, obj in cluster.objects.items()
        if ref.kind == "Pod"
    }
    cluster.delete = noted  # type: ignore[method-assign]
    assert run(cluster, changed(plan), Slot.OWN).result is Result.READY
    assert set(deleted) == before
