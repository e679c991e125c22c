"""The chart through the real Helm: what it templates is what render writes."""

import subprocess
from pathlib import Path

import pytest
import yaml
from testbed import components
from tests.integration.compiled import compiled

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.planner.plan import make_plan
from shardwright.render.helm import helm_chart
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

GOLDEN = Path(__file__).parents[1] / "golden" / "render"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/request.yaml"))


def made(case, folder):
    source = GOLDEN / case / "request.yaml"
    loaded = load(source.read_text(), str(source))
    model = shape.load(loaded.request.model.id)
    plan = build_launch_plan(loaded.request, model, make_plan(loaded.request, model))
    for name, text in helm_chart(plan, loaded.source.value["spec"]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return plan


@pytest.fixture(scope="module")
def template():
    helm = compiled(components.HELM, "SHARDWRIGHT_TEST_HELM")

    def run(folder, *arguments):
        return subprocess.run(
            [helm, "template", "release", str(folder), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def by_name(objects):
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


@pytest.mark.parametrize("case", CASES)
def test_helm_template_equals_plain_render(case, template, tmp_path):
    plan = made(case, tmp_path)
    done = template(tmp_path, "--namespace", plan.namespace)
    assert done.returncode == 0, done.stderr
    assert by_name(yaml.safe_load_all(done.stdout)) == by_name(kubernetes_objects(plan))


def test_settable_values_are_set_and_planned_ones_refused(template, tmp_path):
    made("vllm-statefulset", tmp_path)
    done = template(
        tmp_path, "--namespace", "other", "--set", "spec.engine.image=mirror.example/vllm:1",
        "--set", "spec.cluster.nodeSelector.pool=gpu", "--set", "spec.images.pullSecrets={reg}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sets = [e for e in yaml.safe_load_all(done.stdout) if e["kind"] == "StatefulSet"]
    for each in sets:
        pod = each["spec"]["template"]["spec"]
        assert pod["containers"][0]["image"] == "mirror.example/vllm:1"
        assert pod["nodeSelector"] == {"pool": "gpu"}
        assert pod["imagePullSecrets"] == [{"name": "reg"}]
        assert "llama-405b-group.other.svc" in str(pod)
        assert "default" not in str(pod["containers"])
    refused = template(tmp_path, "--set", "spec.parallelism.tensor=4")
    assert refused.returncode != 0
    assert "this value is part of the plan" in refused.stderr
