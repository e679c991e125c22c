"""Which member a pod is, by the labels that each controller gives its pods."""

from __future__ import annotations

from shardwright.deploy.members import seated, seats_of
from shardwright.model.cluster import Object


def pod(name: str, address: str = "", **labels: str) -> Object:
    keys = {
        "set": "apps.kubernetes.io/pod-index",
        "lws": "leaderworkerset.sigs.k8s.io/worker-index",
        "lws_group": "leaderworkerset.sigs.k8s.io/group-index",
        "ray": "ray.io/node-type",
        "own_group": "shardwright.dev/group",
    }
    named = {keys[key]: value for key, value in labels.items()}
    return {"metadata": {"name": name, "labels": named}, "status": {"podIP": address}}


def places(*pods: Object) -> list[tuple[str, int, int]]:
    return [(each.name, each.group, each.member) for each in seated(pods)]


def test_pods_of_statefulsets_are_numbered_through() -> None:
    found = places(pod("w-1", set="1", own_group="0"), pod("l-0", set="0", own_group="0"))
    assert found == [("l-0", 0, 0), ("w-1", 0, 1)]


def test_workers_of_lws_are_a_statefulset_numbered_differently() -> None:
    leader = pod("g-1", lws="0", lws_group="1", set="1")
    worker = pod("g-1-1", lws="1", lws_group="1", set="1")
    assert places(worker, leader) == [("g-1", 1, 0), ("g-1-1", 1, 1)]


def test_ray_workers_follow_their_head_by_name() -> None:
    pods = (pod("b", ray="worker"), pod("z", ray="head"), pod("a", ray="worker"))
    assert places(*pods) == [("z", 0, 0), ("a", 0, 1), ("b", 0, 2)]


def test_pods_of_a_deployment_are_a_group_each() -> None:
    assert places(pod("b"), pod("a")) == [("a", 0, 0), ("b", 1, 0)]


def test_seats_are_those_of_one_group_that_have_an_address() -> None:
    pods = [pod("l-0", "10.0.0.1", set="0"), pod("w-1", set="1"), pod("x", "9", set="0",
                                                                       own_group="1")]  # fmt: skip
    assert [(seat.member, seat.address) for seat in seats_of(pods)] == [(0, "10.0.0.1")]
