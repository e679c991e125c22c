"""What the server's dry run says of a change: made in place, made anew, or not to be made."""

from __future__ import annotations

import pytest

from shardwright.deploy.changes import FieldChange, Verb
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.target import Target
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import Budgets

BUDGETS = Budgets(
    image_pull_s=100, download_s=200, rendezvous_s=30, load_s=100, compile_s=0, graphs_s=0,
    startup_s=300, engine_ready_s=300, distributed_timeout_s=300, drain_s=10,
)  # fmt: skip
TARGET = Target(name="llama", namespace="ml", num_pods=1, budgets=BUDGETS)


def stateful_set(service: str = "llama", image: str = "vllm:1") -> Object:
    template = {"spec": {"containers": [{"name": "vllm", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "llama", "namespace": "ml"},
        "spec": {"serviceName": service, "template": template},
    }


class Strict(MemoryCluster):
    """Refuses, as a real server does, another serviceName, and an image that is none."""

    def apply(self, obj: Object, *, dry_run: bool = False) -> Object:
        live = self.get(reference(obj))
        is_moved = live is not None and live["spec"]["serviceName"] != obj["spec"]["serviceName"]
        image = obj["spec"]["template"]["spec"]["containers"][0]["image"]
        if is_moved or image != image.strip():
            what = "updates to statefulset spec are forbidden" if is_moved else "image: Invalid"
            raise ShardwrightError(code="object-refused", what=what, remedy="change it")
        made = super().apply(obj, dry_run=dry_run)
        made["spec"].setdefault("podManagementPolicy", "OrderedReady")
        return made


@pytest.fixture
def cluster() -> MemoryCluster:
    cluster = Strict()
    live = stateful_set()
    cluster.put({**live, "spec": {**live["spec"], "podManagementPolicy": "OrderedReady"}})
    return cluster


def test_what_cannot_change_is_made_anew_and_told_without_the_servers_defaults(
    cluster: MemoryCluster,
) -> None:
    (change,) = planned_changes(cluster, TARGET, (stateful_set("llama-members"),))
    assert change.verb is Verb.REPLACE
    assert str(change.ref) == "StatefulSet/llama"
    assert change.fields == (
        FieldChange(path="spec.serviceName", old="llama", new="llama-members"),
    )


def test_what_serves_is_not_given_up_for_what_cannot_be_made(cluster: MemoryCluster) -> None:
    with pytest.raises(ShardwrightError) as caught:
        planned_changes(cluster, TARGET, (stateful_set(image="vllm:1 "),))
    assert (caught.value.code, caught.value.what) == ("object-refused", "image: Invalid")
