"""How a change reaches an endpoint that serves: the gentlest way that there is room for."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from shardwright.deploy.changes import FieldChange, ObjectChange, Verb
from shardwright.deploy.inventory import Inventory
from shardwright.deploy.strategy import Room, Way, choose
from shardwright.model.cluster import ObjectRef

PLAN = SimpleNamespace(
    replicas=1,
    group=SimpleNamespace(members=("leader", "worker")),
    budgets=SimpleNamespace(startup_s=601),
    configs=(SimpleNamespace(name="llama-guard"),),
)
RECORD = Inventory(name="llama", namespace="ml", revision=3)
ROOM = Room(num_slots=2, is_shared_storage=True)


def change(kind, verb, path="spec.replicas", name="llama"):
    fields = (FieldChange(path=path, old=1, new=2),) if verb is not Verb.REMOVE else ()
    ref = ObjectRef(api_version="v1", kind=kind, name=name, namespace="ml")
    return ObjectChange(ref=ref, verb=verb, fields=fields)


TEMPLATE = change("StatefulSet", Verb.CHANGE, "spec.template.spec.containers[0].image")


def way(*changes, record=RECORD, room=ROOM, asked=None):
    return choose(PLAN, changes, record, room, asked=asked)


@pytest.mark.parametrize("record", [None, Inventory(name="llama", namespace="ml", pending=True)])
def test_what_never_became_ready_serves_nobody(record):
    assert way(TEMPLATE, record=record).way is Way.FIRST


def test_no_change_and_changes_that_pods_do_not_notice():
    assert way(change("Service", Verb.KEEP)).way is Way.NOTHING
    assert way(change("Service", Verb.CHANGE)).way is Way.IN_PLACE
    assert way(change("StatefulSet", Verb.CHANGE)).way is Way.IN_PLACE


@pytest.mark.parametrize(
    "stops",
    [
        TEMPLATE,
        change("LeaderWorkerSet", Verb.REPLACE, "spec.leaderWorkerTemplate.size"),
        change("Deployment", Verb.REMOVE),
    ],
)
def test_what_stops_pods_is_made_beside_them_where_there_is_room(stops):
    assert way(stops).way is Way.BESIDE


@pytest.mark.parametrize(
    ("room", "words"),
    [
        (replace(ROOM, num_slots=1), "1 more pods fit now, 2 are needed"),
        (replace(ROOM, num_slots=None), "nobody knows what is free"),
        (replace(ROOM, is_shared_storage=False), "mounted by one node at a time"),
        (replace(ROOM, taken="an endpoint called llama-green exists"), "llama-green exists"),
    ],
)
def test_without_room_the_stop_is_said_with_its_reason_and_length(room, words):
    found = way(TEMPLATE, room=room)
    assert found.way is Way.STOP_THEN_START
    assert words in found.reason
    assert "up to 11 minutes" in found.reason  # 601 s


def test_a_configuration_that_both_groups_would_read_may_not_change_under_the_first():
    shared = change("ConfigMap", Verb.CHANGE, "data", name="llama-guard")
    assert way(TEMPLATE, shared).way is Way.STOP_THEN_START
    other = change("ConfigMap", Verb.CHANGE, "data", name="llama-other")
    assert way(TEMPLATE, other).way is Way.BESIDE


def test_stopping_may_be_asked_for():
    assert way(TEMPLATE, asked=Way.STOP_THEN_START).way is Way.STOP_THEN_START


@pytest.mark.parametrize(("slot", "chosen"), [("", Way.IN_PLACE), ("green", Way.BESIDE)])
def test_a_deployment_that_was_cut_off_goes_on_as_it_began(slot, chosen):
    pending = replace(RECORD, pending=True, next_slot=slot)
    assert way(TEMPLATE, record=pending).way is chosen
