"""Pod statuses as API servers write them, and the stage each means."""

from __future__ import annotations

from typing import Any

import pytest

from shardwright.deploy.progress import PodProgress, Stage, pod_progress, stuck

SCHEDULED = {"type": "PodScheduled", "status": "True"}
RUNNING = {"state": {"running": {}}, "restartCount": 0}
DONE = {"state": {"terminated": {"exitCode": 0}}, "restartCount": 0}


def container(name: str = "vllm", **rest: Any) -> dict[str, Any]:
    return {"name": name, "restartCount": 0, **rest}


def waiting(reason: str, message: str = "", **rest: Any) -> dict[str, Any]:
    return container(state={"waiting": {"reason": reason, "message": message}}, **rest)


def read(status: dict[str, Any]) -> PodProgress:
    return pod_progress({"metadata": {"name": "p"}, "spec": {"nodeName": "n"}, "status": status})


def test_a_pod_that_no_node_takes_says_why() -> None:
    why = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "message": why}
    assert read({"conditions": [condition]}).stage is Stage.SCHEDULING
    assert read({"conditions": [condition]}).detail == why


@pytest.mark.parametrize(
    ("containers", "inits", "stage"),
    [
        ([], [], Stage.IMAGE),
        ([waiting("ContainerCreating")], [], Stage.IMAGE),
        ([waiting("PodInitializing")], [container("wait", **RUNNING)], Stage.WEIGHTS),
        ([waiting("PodInitializing")], [container("wait", **DONE)], Stage.IMAGE),
        ([container(**RUNNING)], [container("wait", **DONE)], Stage.STARTING),
        # a sidecar (an init container that stays) that started does not hold the others up
        ([container(**RUNNING)], [container("sidecar", started=True, **RUNNING)], Stage.STARTING),
    ],
)
def test_stages_in_order(containers: list[Any], inits: list[Any], stage: Stage) -> None:
    status = {
        "conditions": [SCHEDULED],
        "containerStatuses": containers,
        "initContainerStatuses": inits,
    }
    assert read(status).stage is stage


@pytest.mark.parametrize(
    ("reason", "broken"),
    [("CreateContainerConfigError", True), ("InvalidImageName", True), ("ErrImagePull", False)],
)
def test_what_waiting_does_not_mend(reason: str, broken: bool) -> None:
    found = read({"conditions": [SCHEDULED], "containerStatuses": [waiting(reason, "because")]})
    assert found.is_broken is broken
    assert found.detail == f"{reason}: because"


def test_a_container_that_was_killed_for_memory_says_so() -> None:
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    found = read(
        {
            "conditions": [SCHEDULED],
            "containerStatuses": [
                waiting("CrashLoopBackOff", lastState=last) | {"restartCount": 3}
            ],
        }
    )
    assert found.detail == "vllm ended with 137 (OOMKilled), restart 3"
    assert found.is_broken


def test_ready_after_many_restarts_is_not_broken() -> None:
    ready = {"type": "Ready", "status": "True"}
    found = read({"conditions": [SCHEDULED, ready], "containerStatuses": [{"restartCount": 9}]})
    assert (found.stage, found.is_broken) == (Stage.READY, False)


def test_stuck_counts_from_the_beginning_of_the_stage() -> None:
    budgets = dict.fromkeys(Stage, 100.0)
    pods = {"p": PodProgress(name="p", node=None, stage=Stage.STARTING)}
    assert stuck(pods, {"p": 50.0}, 150.0, budgets) == ()
    assert stuck(pods, {"p": 50.0}, 151.0, budgets) == ("p: starting for 101 s, budget 100 s",)
