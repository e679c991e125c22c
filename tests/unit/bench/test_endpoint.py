"""An endpoint is found with all that a load needs, and asked what it serves."""

import json

import pytest
from tests.unit.bench.llama_endpoint import endpoint, pod, service

from shardwright.bench.endpoint import engine_version, find_dcgm, find_endpoint, served_models
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Reply


def test_an_endpoint_is_found_with_all_that_a_load_needs():
    found = endpoint()
    assert found.url == "http://llama.ml.svc:8000"
    assert (found.model, found.weights) == ("meta/llama", "/models/meta/llama")
    assert [v["name"] for v in found.volumes] == ["models"]
    assert found.mounts == ({"name": "models", "mountPath": "/models", "readOnly": True},)
    # 5 s to a node, 55 s of init containers, 120 s to ready
    assert [(s.start_s, s.end_s) for s in found.startup] == [(0, 5), (5, 60), (60, 180)]


def test_an_endpoint_that_is_not_there_or_not_ready_is_said():
    with pytest.raises(ShardwrightError) as none:
        find_endpoint(MemoryCluster(), "llama", "ml")
    assert none.value.code == "endpoint-not-found"
    with pytest.raises(ShardwrightError) as early:
        find_endpoint(MemoryCluster(service(), pod(ready=False)), "llama", "ml")
    assert early.value.code == "endpoint-not-ready"


def test_a_dcgm_exporter_is_found_by_its_label():
    exporter = service("exporter", ports=[{"port": 9400}])
    exporter["metadata"]["labels"] = {"app": "nvidia-dcgm-exporter"}
    assert find_dcgm(MemoryCluster(exporter)) == "http://exporter.ml.svc:9400/metrics"
    assert find_dcgm(MemoryCluster(service())) is None


class Answers:
    """HTTP through the API server: bodies by path."""

    def __init__(self, **bodies):
        self.bodies = bodies

    def send(self, url, *, body, key, timeout_s):
        name = url.rsplit("/", 1)[1]
        if name not in self.bodies:
            return Reply(status=401, body=b"no")
        assert url.startswith("Service/ml/llama:8000/")
        return Reply(status=200, body=json.dumps(self.bodies[name]).encode())


def test_version_and_models_are_asked_through_the_api_server_where_a_laptop_has_no_route():
    cluster = MemoryCluster(service(), pod())
    cluster.client = Answers(version={"version": "0.33.0"}, models={"data": [{"id": "a"}]})
    assert engine_version(cluster, endpoint()) == "vLLM 0.33.0"
    assert served_models(cluster, endpoint()) == ("a",)
    cluster.client = Answers()
    assert engine_version(cluster, endpoint()) == ""
    assert served_models(cluster, endpoint()) == ()
