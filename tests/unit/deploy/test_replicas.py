"""From a fixed number of replicas to a scaler, and back: none of them ends on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.deploy.test_rollout import READY, TARGET, Kubelet, an_object, crashed, deploy

from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.outcome import Result
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.target import Done, Event
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object, reference
from shardwright.model.errors import ShardwrightError

TEMPLATE = {"spec": {"containers": [{"name": "vllm"}]}}
OURS = {"manager": "shardwright", "operation": "Apply"}


def workload(**spec: Any) -> Object:
    return an_object("apps/v1", "Deployment", "llama", {"template": TEMPLATE, **spec})


SCALER = an_object("autoscaling/v2", "HorizontalPodAutoscaler", "llama", {"minReplicas": 1})
SCALED = (workload(), SCALER)
FIXED = (workload(replicas=2),)
CONTROLLER = "kube-controller-manager"
AT_LEAST_ONE = replace(TARGET, num_pods=1, may_have_more=True)


def owned(cluster: MemoryCluster, *fields: str) -> None:
    """Note whose fields they are, as the server does."""
    live = cluster.objects[reference(workload())]
    entry = {**OURS, "fieldsV1": {"f:spec": {f"f:{field}": {} for field in fields}}}
    live["metadata"]["managedFields"] = [entry]


def scaled(
    cluster: MemoryCluster, replicas: int, *, manager: str = CONTROLLER, **more: Any
) -> None:
    """Count them as a scaler does, by the scale subresource; more: what else a person edited."""
    live = cluster.objects[reference(workload())]
    live["spec"] |= {"replicas": replicas, **more}
    scale = {"f:spec": {"f:replicas": {}}}
    entries = [
        {"manager": manager, "operation": "Update", "subresource": "scale", "fieldsV1": scale}
    ]
    if more:
        edited = {"f:spec": {f"f:{field}": {} for field in more}}
        entries.append({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": edited})
    live["metadata"]["managedFields"] += entries


def replicas_of(cluster: MemoryCluster) -> int:
    return int(cluster.objects[reference(workload())]["spec"]["replicas"])


@pytest.fixture
def endpoint() -> MemoryCluster:
    """One that deployed with a scaler, which has counted up to five since."""
    cluster = MemoryCluster()
    deploy(cluster, Kubelet(cluster, READY), SCALED, target=AT_LEAST_ONE)
    scaled(cluster, 5)
    return cluster


@pytest.mark.parametrize("scaler", ["HorizontalPodAutoscaler", "ScaledObject"])
@pytest.mark.parametrize("counted", [5, 2])
def test_without_a_scaler_the_number_is_ours_again(scaler: str, counted: int) -> None:
    cluster = MemoryCluster()
    what = an_object("a/v1", scaler, "llama", {})
    deploy(cluster, Kubelet(cluster, READY), (workload(), what), target=AT_LEAST_ONE)
    scaled(cluster, counted, manager="keda" if scaler == "ScaledObject" else CONTROLLER)
    changes = planned_changes(cluster, TARGET, FIXED)
    seen = {
        (c.ref.kind, c.verb.value, *((f.path, f.old, f.new) for f in c.fields)) for c in changes
    }
    change = ("change", ("spec.replicas", 5, 2)) if counted == 5 else ("keep",)
    assert seen == {("Deployment", *change), (scaler, "remove")}
    assert replicas_of(cluster) == counted
    told: list[Event] = []
    outcome = deploy(cluster, Kubelet(cluster, READY), FIXED, told.append)
    assert (outcome.result, replicas_of(cluster)) == (Result.READY, 2)
    done = [(e.change.ref.kind, e.change.verb.value) for e in told if isinstance(e, Done)]
    assert done == [(scaler, "remove"), ("Deployment", "change")][: 1 + (counted == 5)]
    # whatever it was, from now on nobody else has a say
    deploy(cluster, Kubelet(cluster, READY), (workload(replicas=3),))
    assert replicas_of(cluster) == 3


def test_the_scaler_is_gone_before_its_number_is_taken(endpoint: MemoryCluster) -> None:
    def note(obj: Object) -> None:
        if obj["kind"] == "Deployment":
            assert reference(SCALER) not in endpoint.objects

    endpoint.on_apply = note
    assert deploy(endpoint, Kubelet(endpoint, READY), FIXED).result is Result.READY
    assert replicas_of(endpoint) == 2


def test_a_deployment_that_was_cut_off_after_the_scaler_went_is_gone_on_with(
    endpoint: MemoryCluster,
) -> None:
    def cut_off(obj: Object) -> None:
        if obj["kind"] == "ConfigMap":  # the record is written: what comes next is the scaler's end
            endpoint.delete(reference(SCALER))
            raise KeyboardInterrupt

    endpoint.on_apply = cut_off
    with pytest.raises(KeyboardInterrupt):
        deploy(endpoint, Kubelet(endpoint, READY), FIXED)
    endpoint.on_apply = lambda _: None
    assert deploy(endpoint, Kubelet(endpoint, READY), FIXED).result is Result.READY
    assert replicas_of(endpoint) == 2


def test_what_its_controller_writes_meanwhile_is_read_again(endpoint: MemoryCluster) -> None:
    """A Deployment's status moves its version, and has nothing to do with its owners."""
    changes = planned_changes(endpoint, TARGET, FIXED)
    set_owners, refused = endpoint.set_owners, []

    def busy(live: Object, managed_fields: Sequence[Object]) -> Object:
        if len(refused) < 2:
            endpoint.put(endpoint.objects[reference(live)] | {"status": {"replicas": len(refused)}})
        try:
            return set_owners(live, managed_fields)
        except ShardwrightError as error:
            refused.append(error.code)
            raise

    endpoint.set_owners = busy
    rollout = Rollout(endpoint, Kubelet(endpoint, READY), TARGET, lambda _: None)
    assert rollout.deploy(FIXED, changes).result is Result.READY
    assert (refused, replicas_of(endpoint)) == (["field-conflict"] * 2, 2)


def test_a_number_that_a_person_edited_beside_the_scaler_is_a_conflict_before_anything_is_done(
    endpoint: MemoryCluster,
) -> None:
    owners = endpoint.objects[reference(workload())]["metadata"]["managedFields"]
    edited = {"f:spec": {"f:replicas": {}}}
    owners.append({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": edited})
    with pytest.raises(ShardwrightError) as refused:
        planned_changes(endpoint, TARGET, FIXED)
    assert refused.value.code == "field-conflict"


def test_what_else_somebody_set_is_still_a_conflict(endpoint: MemoryCluster) -> None:
    scaled(endpoint, 5, minReadySeconds=30)
    wanted = (workload(replicas=2, minReadySeconds=10),)
    with pytest.raises(ShardwrightError) as refused:
        planned_changes(endpoint, TARGET, wanted)
    assert refused.value.code == "field-conflict"
    assert "minReadySeconds" in refused.value.what


def test_a_number_that_a_person_set_where_nothing_scaled_is_still_a_conflict() -> None:
    cluster = MemoryCluster()
    deploy(cluster, Kubelet(cluster, READY), (workload(),))
    scaled(cluster, 5, manager="kubectl")
    with pytest.raises(ShardwrightError) as refused:
        planned_changes(cluster, TARGET, FIXED)
    assert refused.value.code == "field-conflict"


def test_a_way_back_to_a_fixed_number_takes_it_from_the_scaler_that_failed() -> None:
    cluster = MemoryCluster()
    deploy(cluster, Kubelet(cluster, READY), FIXED)

    def count(obj: Object) -> None:
        if obj["kind"] == "HorizontalPodAutoscaler":
            owned(cluster, "template")
            scaled(cluster, 5)

    cluster.on_apply = count
    broken = workload(template={"spec": {"containers": [{"name": "sglang"}]}})
    fails = Kubelet(cluster, crashed(3), crashed(3), READY)
    outcome = deploy(cluster, fails, (broken, SCALER), target=AT_LEAST_ONE)
    assert (outcome.result, outcome.rolled_back_to) == (Result.FAILED, 1)
    assert replicas_of(cluster) == 2
    assert reference(SCALER) not in cluster.objects


def test_the_replicas_that_serve_stay_until_the_scaler_counts_them() -> None:
    cluster = MemoryCluster()
    deploy(cluster, Kubelet(cluster, READY), (workload(replicas=2),))
    owned(cluster, "template", "replicas")
    first, second = planned_changes(cluster, TARGET, SCALED)
    assert (first.verb.value, second.verb.value) == ("keep", "create")
    outcome = deploy(cluster, Kubelet(cluster, READY), SCALED, target=AT_LEAST_ONE)
    assert outcome.result is Result.READY
    assert cluster.objects[reference(workload())]["spec"]["replicas"] == 2


def test_they_stay_as_well_where_the_pods_change_too() -> None:
    cluster = MemoryCluster()
    deploy(cluster, Kubelet(cluster, READY), (workload(replicas=2),))
    owned(cluster, "template", "replicas")
    changed = (workload(template={"spec": {"containers": [{"name": "sglang"}]}}), SCALER)
    (first, _) = planned_changes(cluster, TARGET, changed)
    assert [each.path for each in first.fields] == ["spec.template.spec.containers[0].name"]
    deploy(cluster, Kubelet(cluster, READY), changed, target=AT_LEAST_ONE)
    assert cluster.objects[reference(workload())]["spec"]["replicas"] == 2


def test_a_number_that_is_the_scalers_is_not_ours_to_say() -> None:
    cluster = MemoryCluster(workload(replicas=5), SCALER)
    owned(cluster, "template")
    (first, _) = planned_changes(cluster, TARGET, SCALED)
    assert first.verb.value == "keep"
    cluster.apply(workload())
    assert cluster.objects[reference(workload())]["spec"]["replicas"] == 5
