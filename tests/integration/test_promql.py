"""Alerts and scaling queries through Prometheus' own parsers, built from their Go module."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from testbed import components
from tests.integration.compiled import compiled

GOLDEN = Path(__file__).parents[1] / "golden" / "render"


@pytest.fixture(scope="module")
def judge():
    program = compiled(components.PROMQL, "SHARDWRIGHT_TEST_PROMQL")

    def ask(rules=(), queries=()):
        question = json.dumps({"rules": list(rules), "queries": list(queries)})
        done = subprocess.run(
            [program], input=question, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [each["problem"] for each in json.loads(done.stdout)]

    return ask


def objects(kind):
    paths = sorted(GOLDEN.glob(f"*/expected/{kind.lower()}-*.yaml"))
    return {path.parts[-3]: yaml.safe_load(path.read_text()) for path in paths}


def test_every_alert_is_a_rule_that_prometheus_loads(judge):
    found = objects("PrometheusRule")
    assert found
    texts = [yaml.safe_dump({"groups": each["spec"]["groups"]}) for each in found.values()]
    assert judge(rules=texts) == []


def test_every_query_of_a_scaler_is_promql(judge):
    found = objects("ScaledObject")
    assert found
    queries = [
        trigger["metadata"]["query"]
        for each in found.values()
        for trigger in each["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    ]
    assert queries
    assert judge(queries=queries) == []


def test_the_judge_tells_good_from_bad(judge):
    alert = {"alert": "A", "expr": "up == 0", "for": "5 minutes"}
    rules = [yaml.safe_dump({"groups": [{"name": "g", "rules": [alert]}]})]
    problems = judge(rules=rules, queries=["sum(up", "rate(up)", "sum(rate(up[5m]))"])
    assert any("duration" in each for each in problems)
    assert sum("parse error" in each for each in problems) == 2
