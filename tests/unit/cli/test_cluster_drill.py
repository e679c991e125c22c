"""Whom a drill strikes: the pod that is the member at that moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardwright.cli.cluster_drill import Group
from shardwright.cli.render import launch_plan
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.drive.kubectl import Kubectl
from shardwright.drive.memory import MemoryClock
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError

REQUEST = Path(__file__).parents[2] / "golden" / "render" / "vllm-statefulset" / "request.yaml"


class Controller(MemoryClock):
    """Makes the second pod of a StatefulSet at a moment of its own."""

    def __init__(self, group_at: MemoryCluster, made_at: float, pod: Object) -> None:
        super().__init__()
        self.cluster, self.made_at, self.pod = group_at, made_at, pod

    def sleep(self, duration_s: float) -> None:
        super().sleep(duration_s)
        if self.time_s >= self.made_at:
            self.cluster.put(self.pod)


def a_group(made_at: float) -> Group:
    plan = launch_plan(REQUEST)

    def pod(index: int) -> Object:
        labels = {
            "app.kubernetes.io/instance": plan.name,
            "app.kubernetes.io/component": "serving",
            "apps.kubernetes.io/pod-index": str(index),
        }
        meta = {"name": f"{plan.name}-{index}", "namespace": plan.namespace, "labels": labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}

    cluster = MemoryCluster(pod(0))
    clock = Controller(cluster, made_at, pod(1))
    kubectl = Kubectl(kubeconfig=None, context=None)
    return Group(plan=plan, cluster=cluster, kubectl=kubectl, ask=lambda: None, clock=clock)


def test_a_member_that_is_just_made_anew_is_waited_for() -> None:
    group = a_group(made_at=20)
    assert group.member(1)["metadata"]["name"] == f"{group.plan.name}-1"
    assert group.clock.now() == 20


def test_a_member_that_does_not_come_is_named_with_those_that_are_there() -> None:
    group = a_group(made_at=1000)
    with pytest.raises(ShardwrightError) as told:
        group.member(1)
    assert told.value.code == "member-absent"
    assert "no pod of member 1" in told.value.what
    assert told.value.cause == f"pods there are: {group.plan.name}-0"
    assert group.clock.now() == 60
