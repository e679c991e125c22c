"""Objects of the Prometheus operator: what is scraped, and that alerts name metrics that exist."""

import csv
import re
from importlib.resources import files

import pytest

from shardwright import shape
from shardwright.engines import find_engine
from shardwright.engines.versions import is_at_least
from shardwright.launch.build import build_launch_plan
from shardwright.planner.plan import make_plan
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

SPEC = """
kind: DistributedInference
metadata: {{name: llama, namespace: serving}}
spec:
  model: {{id: meta-llama/Llama-3.1-70B-Instruct}}
  engine: {{name: {engine}}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 1}}
  parallelism: {{tensor: 8}}
  slo: {slo}
  monitoring: {monitoring}
"""


def rendered(monitoring, engine="vllm", slo="{}"):
    text = SPEC.format(monitoring=monitoring, engine=engine, slo=slo)
    request = load(text, "spec.yaml").request
    model = shape.load(request.model.id)
    objects = kubernetes_objects(build_launch_plan(request, model, make_plan(request, model)))
    return {each["kind"]: each for each in objects}


def alerts(objects):
    (group,) = objects["PrometheusRule"]["spec"]["groups"]
    return {each["alert"]: each["expr"] for each in group["rules"]}


def test_without_being_asked_nothing_needs_the_operator():
    assert not {"PodMonitor", "PrometheusRule"} & rendered("{}").keys()


def test_the_monitor_selects_serving_pods_by_labels_and_a_port_they_have():
    objects = rendered("{podMonitor: true, labels: {release: prom}}")
    monitor, template = objects["PodMonitor"], objects["Deployment"]["spec"]["template"]
    assert monitor["metadata"]["labels"]["release"] == "prom"
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= template["metadata"]["labels"].items()
    (scraped,) = monitor["spec"]["podMetricsEndpoints"]
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    assert scraped["port"] in ports
    assert "PrometheusRule" not in objects


def test_alerts_look_at_this_endpoint_alone_and_hold_the_objective():
    found = alerts(rendered("{podMonitor: true, alerts: true}", slo="{ttftMs: 500}"))
    assert all('{job="serving/llama"}' in expr for expr in found.values())
    assert "InferenceItlOverObjective" not in found
    assert found["InferenceTtftOverObjective"].startswith("histogram_quantile(0.95, ")
    assert found["InferenceTtftOverObjective"].endswith("> 0.5")


def test_triton_is_scraped_at_its_own_port():
    objects = rendered("{podMonitor: true, alerts: true}", engine="triton")
    (scraped,) = objects["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert scraped["port"] == "metrics"
    assert "InferenceKvCacheFull" not in alerts(objects)


@pytest.mark.parametrize("version", find_engine("vllm").versions)
def test_every_metric_named_is_one_that_version_exposes(version):
    source = files("shardwright.facts") / "engines" / "vllm-metrics-history.csv"
    rows = {row["name_in_code"]: row for row in csv.DictReader(source.read_text().splitlines())}
    metrics = find_engine("vllm").metrics(version)
    for name in (metrics.waiting, metrics.kv_usage, metrics.ttft_s, metrics.itl_s):
        row = rows[name]
        assert is_at_least(version, row["first_version_seen"])
        removed = row["removed_version"]
        assert not removed or not is_at_least(version, re.sub(r"[^0-9.]", "", removed))
