"""As whom jobs run: what they leave on the claim is for the members to read and to go on with."""

import pytest

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.planner.plan import make_plan
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

SPEC = """
kind: DistributedInference
metadata: {{name: llama}}
spec:
  model: {{id: meta-llama/Llama-3.1-70B-Instruct}}
  engine: {{name: {engine}}}
  cluster: {{gpu: H100-SXM, gpusPerNode: 8, nodes: 1}}
  {more}
"""


def download(engine, more=""):
    request = load(SPEC.format(engine=engine, more=more), "spec.yaml").request
    model = shape.load(request.model.id)
    objects = kubernetes_objects(build_launch_plan(request, model, make_plan(request, model)))
    (job,) = [each for each in objects if each["kind"] == "Job"]
    serving = next(each for each in objects if each["kind"] == "Deployment")
    return job["spec"]["template"]["spec"], serving["spec"]["template"]["spec"]


@pytest.mark.parametrize(("engine", "user"), [("vllm", 2000), ("tensorrt-llm", 1000)])
def test_download_runs_as_the_user_who_serves(engine, user):
    job, serving = download(engine)
    assert job["securityContext"] == serving["securityContext"]
    assert job["securityContext"]["runAsUser"] == user
    assert job["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("engine", "more"), [("sglang", ""), ("vllm", "images: {download: 'python:3.13'}")]
)
def test_download_in_an_image_without_that_user_runs_as_the_image_says(engine, more):
    job, _ = download(engine, more)
    assert job["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
