"""A rehearsal on a cluster changes what it says and leaves the wiring alone, byte by byte."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from shardwright.cli.render import launch_plan
from shardwright.deploy.changes import compare
from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL
from shardwright.facts import models
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan
from shardwright.model.layout import Layout
from shardwright.rehearse.change import Substitution
from shardwright.rehearse.on_cluster import ClusterScene, cluster_scene
from shardwright.rehearse.shrink import shrink
from shardwright.render.objects import kubernetes_objects

GOLDEN = Path(__file__).parents[2] / "golden" / "render"
CASES = ("vllm-statefulset", "vllm-ray-statefulset", "vllm-lws", "vllm-kuberay")

TOUCHED = (
    r".*\.image",
    r".*\.(command|args)\[\d+\]",  # words of the engine's and the download's command line
    r".*\.(command|args|env)",  # the same, where their number differs
    r".*\.env\[\d+\]\.(name|value|valueFrom)",
    r".*\.resources\.(limits|requests)\..*",
    r".*\.spec\.securityContext\..*",  # the user is one of the image's own
    r".*\.nodeSelector.*",
    r".*\.tolerations.*",
    r".*\.volumes\[\d+\]\.emptyDir\.sizeLimit",
)
"""What design and issue allow a substitution to touch, as paths of the rendered objects."""


def case(name: str) -> LaunchPlan:
    return launch_plan(GOLDEN / name / "request.yaml")


def scene_of(deployed: LaunchPlan, namespace: str) -> ClusterScene:
    planned = Layout(tensor_parallel=8, pipeline_parallel=2)
    here = Layout(tensor_parallel=2, pipeline_parallel=2)
    config = models.load(deployed.model).config
    small = shrink(config, planned, here, lambda layers, pp: (layers // pp,) * pp)
    sizes = Substitution(
        tensor_parallel=2,
        layers=small.layers,
        model_path="",
        max_model_len=1024,
        image="engine:cpu",
        interface="eth0",
    )
    return cluster_scene(deployed, small, sizes, VLLM_REHEARSAL, namespace)


def test_weights_that_are_an_image_cannot_be_made_small() -> None:
    with pytest.raises(ShardwrightError) as caught:
        scene_of(case("vllm-weights-image"), "rehearsal")
    assert caught.value.code == "rehearsal-of-weights-image"


@pytest.mark.parametrize("name", CASES)
def test_only_what_may_be_touched_differs(name: str) -> None:
    deployed = case(name)
    scene = scene_of(deployed, deployed.namespace)
    before = kubernetes_objects(deployed)
    after = kubernetes_objects(scene.plan)
    assert [each["metadata"] for each in before] == [each["metadata"] for each in after]
    paths = [
        field.path
        for old, new in zip(before, after, strict=True)
        for field in compare(old, new).fields
    ]
    assert paths
    pattern = re.compile("|".join(f"(?:{each})" for each in TOUCHED))
    strange = [path for path in paths if not pattern.fullmatch(path)]
    assert strange == []


@pytest.mark.parametrize("name", CASES)
def test_how_members_meet_is_the_deployments_own(name: str) -> None:
    deployed = case(name)
    plan = scene_of(deployed, deployed.namespace).plan
    meeting = ("--nnodes", "--node-rank", "--master-addr", "--master-port", "ray start")

    def words(plan: LaunchPlan) -> list[str]:
        text = str(kubernetes_objects(plan))
        return [text[match.start() : match.start() + 120].split("--port")[0]
                for flag in meeting for match in re.finditer(re.escape(flag), text)]  # fmt: skip

    def without_gpus(found: list[str]) -> list[str]:
        return [re.sub(r"num-gpus=\d+", "num-gpus=N", each) for each in found]

    assert without_gpus(words(plan)) == without_gpus(words(deployed))


def test_the_namespace_is_its_own_and_said() -> None:
    scene = scene_of(case("vllm-statefulset"), "llama-405b-rehearsal")
    assert {each["metadata"]["namespace"] for each in kubernetes_objects(scene.plan)} == {
        "llama-405b-rehearsal"
    }
    assert [(c.old, c.new) for c in scene.changes if c.path == "namespace"] == [
        ("default", "llama-405b-rehearsal")
    ]


def test_planned_gpus_keep_members_apart_as_deployed() -> None:
    scene = scene_of(case("vllm-statefulset"), "x")
    assert [member.gpus for member in scene.plan.group.members] == [2, 2]
    kept = scene.with_planned_gpus()
    assert [member.gpus for member in kept.plan.group.members] == [8, 8]
    assert not [each for each in kept.changes if each.path.endswith(".gpus")]


def test_ray_is_told_of_as_many_gpus_as_there_are_ranks() -> None:
    """With 8 GPUs on each of two Ray nodes, all four ranks were seen on one of them."""
    kept = scene_of(case("vllm-ray-statefulset"), "x").with_planned_gpus()
    assert [member.gpus for member in kept.plan.group.members] == [2, 2]


def test_without_a_download_nothing_is_delivered() -> None:
    deployed = replace(case("vllm-statefulset"), tasks=())
    assert scene_of(deployed, "x").plan.tasks == ()
