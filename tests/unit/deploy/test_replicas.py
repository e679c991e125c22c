"""From a fixed number of replicas to a scaler: none of them ends on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.deploy.test_rollout import READY, TARGET, Kubelet, an_object, deploy

from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.outcome import Result
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object, reference

TEMPLATE = {"spec": {"containers": [{"name": "vllm"}]}}
OURS = {"manager": "shardwright", "operation": "Apply"}


def workload(**spec: Any) -> Object:
    return an_object("apps/v1", "Deployment", "llama", {"template": TEMPLATE, **spec})


SCALER = an_object("autoscaling/v2", "HorizontalPodAutoscaler", "llama", {"minReplicas": 1})
SCALED = (workload(), SCALER)
AT_LEAST_ONE = replace(TARGET, num_pods=1, may_have_more=True)


def owned(cluster: MemoryCluster, *fields: str) -> None:
    """Note whose fields they are, as the server does."""
    live = cluster.objects[reference(workload())]
    entry = {**OURS, "fieldsV1": {"f:spec": {f"f:{field}": {} for field in fields}}}
    live["metadata"]["managedFields"] = [entry]


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
