import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from shardwright.cli.lint import command
from shardwright.model.errors import ShardwrightError

RECIPE = Path(__file__).parents[3] / "examples" / "recipe"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment   # kept
metadata:
  name: a
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      containers:
        - name: c   # kept too
          image: vllm/vllm-openai:v0.33.0
          args: ["m", "-tp", "2"]
          resources:
            limits: {nvidia.com/gpu: 2, memory: 64Gi}
"""


def run(*arguments, text=None):
    return CliRunner().invoke(command, [*map(str, arguments)], input=text, standalone_mode=False)


def codes(result):
    return {finding["code"] for finding in json.loads(result.stdout)["findings"]}


def test_exit_codes(tmp_path):
    assert run(RECIPE).return_value == 1
    path = tmp_path / "a.yaml"
    path.write_text(DEPLOYMENT)
    assert run(path).return_value == 0
    assert run("--strict", path).return_value == 1
    path.write_text("a: [")
    assert run(path).return_value == 2


def test_standard_input():
    result = run("-", "-o", "json", text=DEPLOYMENT)
    assert "shm-missing" in codes(result)
    assert all(f["file"] == "<stdin>" for f in json.loads(result.stdout)["findings"])


def test_nothing_to_lint_is_said():
    result = run("-", text="# nothing was rendered\n")
    assert result.return_value == 0
    assert "no Kubernetes object in -" in result.stderr


def test_a_spec_is_told_from_manifests(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("apiVersion: shardwright.dev/v1alpha1\nkind: DistributedInference\nspec: {}\n")
    assert f"shardwright render {path}" in run(path).stderr


def test_what_is_not_there_is_an_error():
    result = run("nowhere")
    assert isinstance(result.exception, ShardwrightError)
    assert result.exception.code == "file-not-found"


def test_a_chart_is_passed_over_and_a_kustomization_followed(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a.yaml").write_text(DEPLOYMENT)
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (tmp_path / "base" / "unlisted.yaml").write_text("a: [")
    (tmp_path / "kustomization.yaml").write_text("resources: [base, gone.yaml]\n")
    result = run(tmp_path, "-o", "json")
    assert "shm-missing" in codes(result)
    assert "gone.yaml does not exist" in result.stderr
    chart = tmp_path / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("name: x\n")
    (chart / "t.yaml").write_text("{{ a }}")
    assert isinstance(run(chart).exception, ShardwrightError)


def test_fix_changes_what_it_must_and_nothing_else(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(DEPLOYMENT)
    result = run("--fix", "-o", "json", path)
    assert "shm-missing" not in codes(result)
    assert path.read_text() == DEPLOYMENT + (
        "          volumeMounts:\n"
        "          - name: dshm\n"
        "            mountPath: /dev/shm\n"
        "      volumes:\n"
        "      - name: dshm\n"
        "        emptyDir:\n"
        "          medium: Memory\n"
        "          sizeLimit: 1Gi\n"
    )


def test_undecodable_bytes_are_reported_with_the_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff\xfe\n")
    result = run(path, "-o", "json")
    assert result.return_value == 2
    assert codes(result) == {"yaml-invalid"}


@pytest.mark.parametrize("output", ["text", "json", "sarif", "github"])
def test_every_output_of_the_recipe(output):
    assert run(RECIPE, "-o", output).stdout
