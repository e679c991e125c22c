"""A Secret that changed starts the pods that read it again, and nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from shardwright.cli.render import launch_plan
from shardwright.deploy.changes import Verb
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.rotation import MARK, marked
from shardwright.deploy.slot_objects import slot_objects
from shardwright.deploy.slots import Slot
from shardwright.deploy.target import target_of
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan

GOLDEN = Path(__file__).parents[2] / "golden" / "render"


@pytest.fixture(scope="module", params=["vllm-statefulset", "vllm-lws"])
def plan(request: pytest.FixtureRequest) -> LaunchPlan:
    """Pods read the API key from a Secret llama-keys; the download reads hf-token."""
    return launch_plan(GOLDEN / request.param / "request.yaml")


def secret(name: str, value: str) -> Object:
    data = {"api-key": base64.b64encode(value.encode()).decode()}
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}


def changed(cluster: MemoryCluster, plan: LaunchPlan) -> set[str]:
    objects = marked(cluster, slot_objects(plan, Slot.OWN))
    changes = planned_changes(cluster, target_of(plan), objects)
    return {each.ref.kind for each in changes if each.verb is not Verb.KEEP}


def deployed(plan: LaunchPlan, key: str) -> MemoryCluster:
    cluster = MemoryCluster(secret(key, "one"), secret("hf-token", "one"))
    for each in marked(cluster, slot_objects(plan, Slot.OWN)):
        cluster.apply(each)
    return cluster


def key_of(plan: LaunchPlan) -> str:
    key = plan.endpoints[0].api_key
    if key is None:
        pytest.skip("this case has no key")
    return key.secret


def test_a_new_key_restarts_the_pods_and_fetches_nothing(plan: LaunchPlan) -> None:
    key = key_of(plan)
    cluster = deployed(plan, key)
    assert changed(cluster, plan) == set()
    cluster.put(secret(key, "two"))
    assert changed(cluster, plan) <= {"StatefulSet", "LeaderWorkerSet"}
    assert changed(cluster, plan)


def test_a_new_hub_token_changes_nothing(plan: LaunchPlan) -> None:
    cluster = deployed(plan, key_of(plan))
    cluster.put(secret("hf-token", "two"))
    assert changed(cluster, plan) == set()


def test_keys_that_the_cluster_made_for_itself_restart_nothing() -> None:
    plan = launch_plan(GOLDEN / "tensorrt-llm-mpi" / "request.yaml")
    cluster = MemoryCluster()
    for each in marked(cluster, slot_objects(plan, Slot.OWN)):
        cluster.apply(each)
    cluster.put(secret("llama-405b-ssh", "keys"))
    objects = [e for e in slot_objects(plan, Slot.OWN) if e["kind"] == "StatefulSet"]
    again = [e for e in marked(cluster, slot_objects(plan, Slot.OWN)) if e in objects]
    assert again == objects


def test_where_secrets_may_not_be_read_there_is_no_mark(plan: LaunchPlan) -> None:
    class Closed(MemoryCluster):
        def get(self, ref):
            if ref.kind == "Secret":
                raise ShardwrightError(code="cluster-forbidden", what="no", remedy="ask")
            return super().get(ref)

    assert MARK not in str(marked(Closed(), slot_objects(plan, Slot.OWN)))
