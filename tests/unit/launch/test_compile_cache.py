"""What the engine compiled lies on the claim, in a folder of its version, GPU and layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan, Member
from shardwright.model.request import Request
from shardwright.model.text import text
from shardwright.planner.plan import make_plan
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

EXAMPLE = Path(__file__).parents[3] / "examples" / "llama-3.1-405b.yaml"


def request(*, keep: bool = True, **storage: str) -> Request:
    found = load(EXAMPLE.read_text(), EXAMPLE.name).request
    return replace(found, storage=replace(found.storage, compile_cache=keep, **storage))


def engine(asked: Request, **fields: object) -> Request:
    return replace(asked, engine=replace(asked.engine, **fields))


def launch(asked: Request) -> LaunchPlan:
    model = shape.load(asked.model.id)
    return build_launch_plan(asked, model, make_plan(asked, model))


def folder(member: Member) -> str | None:
    (found,) = [mount.sub_path for mount in member.mounts if mount.path == "/compile-cache"]
    return found


def env(member: Member) -> dict[str, object]:
    return {var.name: var.value for var in member.processes[0].env}


def test_every_member_keeps_it_on_the_claim_of_the_weights() -> None:
    for member in launch(request()).group.members:
        by_path = {mount.path: mount for mount in member.mounts}
        assert folder(member) == "compile-cache/vllm-0.33.0-h200-sxm-tp8-pp2"
        assert by_path["/compile-cache"].source == by_path["/models"].source
        assert not by_path["/compile-cache"].is_read_only
        assert env(member)["VLLM_CACHE_ROOT"] == text("/compile-cache")


def test_another_version_has_another_folder() -> None:
    older = launch(engine(request(), version="0.32.0"))
    assert folder(older.group.members[0]) == "compile-cache/vllm-0.32.0-h200-sxm-tp8-pp2"


def test_nothing_is_kept_unless_asked_for() -> None:
    for member in launch(request(keep=False)).group.members:
        assert all(mount.sub_path is None for mount in member.mounts)
        assert "VLLM_CACHE_ROOT" not in env(member)


def test_a_folder_of_the_users_own_wins() -> None:
    plan = launch(engine(request(), env=(("VLLM_CACHE_ROOT", "/mine"),)))
    assert env(plan.group.members[0])["VLLM_CACHE_ROOT"] == text("/mine")


def test_the_pod_writes_to_the_claim_and_still_reads_the_weights_only() -> None:
    objects = kubernetes_objects(launch(request()))
    (group,) = [each for each in objects if each["kind"] == "LeaderWorkerSet"]
    pod = group["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    (models,) = [each for each in pod["volumes"] if "persistentVolumeClaim" in each]
    assert "readOnly" not in models["persistentVolumeClaim"]
    mounts = {each["mountPath"]: each for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["/models"]["readOnly"] is True
    assert mounts["/compile-cache"] == {
        "name": models["name"],
        "mountPath": "/compile-cache",
        "subPath": "compile-cache/vllm-0.33.0-h200-sxm-tp8-pp2",
    }
    (waits,) = pod["initContainers"]
    assert [each["mountPath"] for each in waits["volumeMounts"]] == ["/models"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (engine(request(), name="sglang"), "compile-cache-unknown"),
        (request(access_mode="ReadOnlyMany"), "compile-cache-read-only"),
        (request(image="registry.example/weights:1"), "compile-cache-read-only"),
    ],
)
def test_what_cannot_be_kept_is_refused(asked: Request, code: str) -> None:
    with pytest.raises(ShardwrightError) as refused:
        launch(asked)
    assert refused.value.code == code
