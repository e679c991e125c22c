"""Which pods a deployment brings to their end: those of the workloads that change, no others."""

from __future__ import annotations

from typing import Any

from shardwright.deploy.changes import FieldChange, ObjectChange, Verb
from shardwright.deploy.outgoing import outgoing
from shardwright.model.cluster import Object, ObjectRef

TEMPLATE = (FieldChange(path="spec.template.spec.containers[0].image", old="a", new="b"),)


def change(kind: str, name: str, verb: Verb, fields: tuple[FieldChange, ...] = ()) -> ObjectChange:
    ref = ObjectRef(api_version="v1", kind=kind, name=name, namespace="ml")
    return ObjectChange(ref=ref, verb=verb, fields=fields)


def pod(uid: str, owner: tuple[str, str] | None = None, **labels: str) -> Object:
    meta: dict[str, Any] = {"name": uid, "uid": uid, "labels": labels}
    if owner:
        meta["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    return {"metadata": meta}


LEADER = pod("l", ("StatefulSet", "llama-leader"))
WORKER = pod("w", ("StatefulSet", "llama-worker"))


def test_pods_of_a_template_that_stays_are_not_waited_for() -> None:
    changes = (
        change("StatefulSet", "llama-leader", Verb.CHANGE, TEMPLATE),
        change("StatefulSet", "llama-worker", Verb.KEEP),
    )
    assert outgoing(changes, (LEADER, WORKER)) == {"l"}


def test_pods_that_are_there_before_their_workload_are_an_earlier_ones() -> None:
    """A deletion in the background leaves pods for a while after the object that owned them."""
    changes = (
        change("StatefulSet", "llama-leader", Verb.KEEP),
        change("StatefulSet", "llama-worker", Verb.CREATE),
    )
    assert outgoing(changes, (LEADER, WORKER)) == {"w"}


def test_a_workload_made_anew_takes_its_pods_along_whatever_field_it_is_for() -> None:
    policy = (FieldChange(path="spec.podManagementPolicy", old="OrderedReady", new="Parallel"),)
    replaced = change("StatefulSet", "llama-leader", Verb.REPLACE, policy)
    assert replaced.stops_pods
    assert outgoing((replaced,), (LEADER, WORKER)) == {"l"}


def test_more_replicas_bring_no_pod_to_its_end() -> None:
    more = (FieldChange(path="spec.replicas", old=1, new=2),)
    assert outgoing((change("StatefulSet", "llama-leader", Verb.CHANGE, more),), (LEADER,)) == set()


def test_every_controller_says_in_its_own_way_whose_a_pod_is() -> None:
    pods = (
        pod("lws", ("StatefulSet", "llama-group-0"), **{
            "leaderworkerset.sigs.k8s.io/name": "llama-group"}),
        pod("ray", ("RayCluster", "llama"), **{"ray.io/cluster": "llama"}),
        pod("alone", ("ReplicaSet", "llama-5d4f7c9b8")),
    )  # fmt: skip
    for kind, name, uid in (
        ("LeaderWorkerSet", "llama-group", "lws"),
        ("RayCluster", "llama", "ray"),
        ("Deployment", "llama", "alone"),
    ):
        assert outgoing((change(kind, name, Verb.CHANGE, TEMPLATE),), pods) == {uid}
