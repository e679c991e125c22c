import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from shardwright.cli.artifacts import command as artifacts
from shardwright.cli.render import command as render

EXAMPLES = Path(__file__).parents[3] / "examples"
SPEC = str(EXAMPLES / "llama-3.1-405b.yaml")


def test_folder_written_is_a_folder_without_differences(tmp_path):
    out = tmp_path / "manifests"
    assert (
        CliRunner().invoke(render, [SPEC, "--out", str(out)], standalone_mode=False).exit_code == 0
    )
    same = CliRunner().invoke(render, [SPEC, "--diff", str(out)], standalone_mode=False)
    assert (same.return_value, same.stdout) == (0, "")
    (out / "service-llama-405b.yaml").write_text("kind: Service\n")
    other = CliRunner().invoke(render, [SPEC, "--diff", str(out)], standalone_mode=False)
    assert other.return_value == 1
    assert "+apiVersion: v1" in other.stdout


def test_json_is_one_list_that_kubectl_takes():
    done = CliRunner().invoke(render, [SPEC, "-o", "json"], standalone_mode=False)
    listed = json.loads(done.stdout)
    assert listed["kind"] == "List"
    assert "LeaderWorkerSet" in {each["kind"] for each in listed["items"]}


def test_a_json_file_is_written_as_one_and_a_folder_is_not(tmp_path):
    out = tmp_path / "all.json"
    done = CliRunner().invoke(render, [SPEC, "--out", str(out)], standalone_mode=False)
    assert done.stdout == ""
    assert json.loads(out.read_text())["kind"] == "List"
    argv = [SPEC, "-o", "json", "--out", str(tmp_path / "folder")]
    refused = CliRunner().invoke(render, argv, standalone_mode=False)
    assert refused.exception.code == "list-needs-file"
    assert not (tmp_path / "folder").exists()


def test_a_plan_that_does_not_fit_is_written_and_said_to_be_none(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("""
kind: DistributedInference
spec:
  model: {id: meta-llama/Llama-3.1-70B-Instruct}
  cluster: {gpu: H200-SXM, gpusPerNode: 1, nodes: 1}
  parallelism: {tensor: 1, pipeline: 1}
""")
    # 70.6e9 bf16 parameters are 131.5 GiB, more than 0.92 of the GPU's 139.8 GiB
    done = CliRunner().invoke(render, [str(spec)], standalone_mode=False)
    assert done.return_value == 1
    assert "kind: Deployment" in done.stdout
    assert done.stderr.startswith("error: does-not-fit\n")
    assert "is the least that fits" in done.stderr


def test_what_applying_by_hand_must_take_care_of_is_said(tmp_path):
    spec = EXAMPLES / "llama-3.1-70b-triton.yaml"
    done = CliRunner().invoke(render, [str(spec)], standalone_mode=False)
    assert "job llama-70b-engine needs 8 GPUs" in done.stderr


def test_ray_on_an_image_without_ray_is_said_at_once(tmp_path):
    spec = tmp_path / "spec.yaml"
    text = (EXAMPLES / "llama-3.1-405b-ray.yaml").read_text()
    spec.write_text(text.replace(", image: registry.example/vllm-with-ray:0.33.0", ""))
    done = CliRunner().invoke(render, [str(spec)], standalone_mode=False)
    assert "vllm/vllm-openai:v0.33.0 has no Ray" in done.stderr


def test_chart_without_a_folder_is_refused():
    done = CliRunner().invoke(render, [SPEC, "--helm"], standalone_mode=False)
    assert done.exception.code == "chart-needs-folder"


def test_artifacts_are_images_models_and_controllers():
    done = CliRunner().invoke(artifacts, [SPEC], standalone_mode=False)
    assert done.stdout.splitlines() == [
        "image  vllm/vllm-openai:v0.33.0",
        "model  meta-llama/Llama-3.1-405B-Instruct-FP8 (safetensors, config and tokenizer)",
        "needs  LeaderWorkerSet 0.6 or newer (leaderworkerset.x-k8s.io/v1)",
    ]


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({"scheduling": "{queue: gpus}"}, ["Kueue, with the LocalQueue gpus"]),
        (
            {"scheduling": "{gang: volcano, queue: gpus}"},
            ["Volcano (scheduling.volcano.sh/v1beta1)"],
        ),
        (
            {"access": "{route: llm.example.org, gateway: infra/public}"},
            ["Gateway API (gateway.networking.k8s.io/v1), with the Gateway infra/public"],
        ),
        (
            {"access": "{route: llm.example.org}"},
            ["an ingress controller of class (the default one)"],
        ),
        (
            {
                "workload": "{concurrency: 8}",
                "monitoring": "{podMonitor: true}",
                "autoscaling": '{by: keda, maxReplicas: 2, prometheus: "http://prometheus:9090"}',
            },
            [
                "Prometheus operator (monitoring.coreos.com/v1)",
                "KEDA 2 (keda.sh/v1alpha1), with the Prometheus at http://prometheus:9090",
            ],
        ),
        (
            {
                "workload": "{concurrency: 8}",
                "autoscaling": "{by: hpa, maxReplicas: 2, metric: in_flight}",
            },
            ["a metrics adapter that serves in_flight (custom.metrics.k8s.io)"],
        ),
    ],
)
def test_what_is_asked_for_and_must_be_installed_is_listed(tmp_path, fields, needed):
    spec = tmp_path / "spec.yaml"
    lines = [
        "kind: DistributedInference",
        "spec:",
        "  model: {id: meta-llama/Llama-3.1-70B-Instruct}",
        "  cluster: {gpu: H200-SXM, nodes: 1}",
        "  parallelism: {tensor: 8, pipeline: 1, replicas: 1}",
        *(f"  {name}: {value}" for name, value in fields.items()),
    ]
    spec.write_text("\n".join(lines))
    done = CliRunner().invoke(artifacts, [str(spec)], standalone_mode=False)
    listed = [line for line in done.stdout.splitlines() if line.startswith("needs")]
    assert listed == [f"needs  {each}" for each in needed]


def test_the_chart_names_the_pull_job_by_the_image_that_is_set(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("""
kind: DistributedInference
metadata: {name: llama}
spec:
  model: {id: meta-llama/Llama-3.1-70B-Instruct}
  cluster: {gpu: H200-SXM, nodes: 1, nodeSelector: {pool: h200}}
  images: {prePull: job}
""")
    out = tmp_path / "chart"
    CliRunner().invoke(render, [str(spec), "--helm", "--out", str(out)], standalone_mode=False)
    (job,) = out.glob("templates/job-llama-pre-pull-*.yaml")
    assert "name: llama-pre-pull-{{ list .Values.spec.engine.image " in job.read_text()
