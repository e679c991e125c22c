"""Every golden cell of the renderer, judged by API servers: nothing is applied.

The bed's own API server knows the controllers' webhooks as well. The newest one (`python -m testbed
newest`) knows their resource definitions. Both know those of the Prometheus operator and KEDA.
Field validation is strict: an unknown field is an error.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml
from lightkube import KubeConfig
from lightkube.config import client_adapter
from testbed.layout import kubeconfig_path, newest_kubeconfig_path

GOLDEN = Path(__file__).parents[1] / "golden" / "render"
CELLS = sorted(path.name for path in GOLDEN.iterdir())
SINCE = {"vllm-weights-image": (1, 35)}
"""Cells that only newer servers take: volumes of images are switched off before."""
NOT_SERVED = "this server does not serve its kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """An API server and a namespace of it to ask about."""

    http: httpx.Client
    namespace: str
    may_lack_kinds: bool
    """Somebody's own cluster need not have every operator; the test bed has every definition."""

    def version(self) -> tuple[int, int]:
        """Return the server's minor version."""
        told = self.http.get("/version").json()
        return int(told["major"]), int(told["minor"].rstrip("+"))

    def plural(self, api_version: str, kind: str) -> str | None:
        """Return a kind's word in paths by the server's own discovery; None if unserved."""
        answer = self.http.get(prefix_of(api_version))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        names = {each["kind"]: each["name"] for each in answer.json()["resources"]
                 if "/" not in each["name"]}  # fmt: skip
        return names.get(kind)

    def verdict(self, obj: dict[str, Any]) -> str:
        """Return why the server refuses to have this object applied; empty if it would not."""
        plural = self.plural(obj["apiVersion"], obj["kind"])
        if plural is None:
            return NOT_SERVED
        name = obj["metadata"]["name"]
        answer = self.http.patch(
            f"{prefix_of(obj['apiVersion'])}/namespaces/{self.namespace}/{plural}/{name}",
            params={"dryRun": "All", "fieldManager": "shardwright", "fieldValidation": "Strict"},
            json={**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}},
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        if answer.is_success:
            return ""
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            return str(answer.json()["message"])
        return f"{answer.status_code}: {answer.text}"


def prefix_of(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def judge_of(kubeconfig: Path) -> Iterator[Judge]:
    config = KubeConfig.from_file(kubeconfig).get()
    params = client_adapter.ConnectionParams(timeout=httpx.Timeout(60))
    with client_adapter.Client(config, params) as http:
        name = f"test-{uuid.uuid4().hex[:8]}"
        meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        http.post("/api/v1/namespaces", json=meta).raise_for_status()
        bed = (kubeconfig_path(), newest_kubeconfig_path())
        yield Judge(http=http, namespace=name, may_lack_kinds=kubeconfig not in bed)
        http.delete(f"/api/v1/namespaces/{name}").raise_for_status()


@pytest.fixture(scope="module", params=["the cluster's own", "the newest"])
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    if request.param == "the newest":
        path = newest_kubeconfig_path()
        if not path.exists():
            pytest.skip("only one API server here: run `python -m testbed newest`")
    else:
        path = request.getfixturevalue("kubeconfig")
    yield from judge_of(path)


def objects_of(cell: str) -> list[dict[str, Any]]:
    files = sorted((GOLDEN / cell / "expected").glob("*.yaml"))
    documents = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    return [each for each in documents if each["kind"] != "Kustomization"]


@pytest.mark.parametrize("cell", CELLS)
def test_the_server_would_take_every_object(judge: Judge, cell: str) -> None:
    objects = objects_of(cell)
    assert objects
    if judge.version() < SINCE.get(cell, (0, 0)):
        pytest.skip("this server is older than what the cell needs")
    said = {f"{each['kind']} {each['metadata']['name']}": judge.verdict(each) for each in objects}
    refused = {name: why for name, why in said.items() if why}
    unserved = sorted(name for name, why in refused.items() if why == NOT_SERVED)
    if judge.may_lack_kinds and unserved:
        assert sorted(refused) == unserved
        pytest.skip(f"not judged, since {NOT_SERVED}: {', '.join(unserved)}")
    assert refused == {}


def the(kind: str, cell: str) -> dict[str, Any]:
    return next(each for each in objects_of(cell) if each["kind"] == kind)


def test_the_server_does_refuse(judge: Judge) -> None:
    """The same objects with one thing wrong, so that an open door would be seen."""
    workload = the("StatefulSet", "vllm-statefulset")
    workload["spec"]["replica"] = 2
    assert ".spec.replica: field not declared in schema" in judge.verdict(workload)

    workload = the("StatefulSet", "vllm-statefulset")
    workload["spec"]["selector"]["matchLabels"] = {"somebody": "else"}
    assert "`selector` does not match template `labels`" in judge.verdict(workload)

    service = the("Service", "vllm-statefulset")
    service["metadata"]["name"] = "9-" + "x" * 80
    assert "must be no more than 63 characters" in judge.verdict(service)

    group = the("LeaderWorkerSet", "vllm-lws")
    group["spec"]["leaderWorkerTemplate"]["restartPolicy"] = "Never"
    assert "Unsupported value" in judge.verdict(group)

    ray = the("RayCluster", "vllm-kuberay")
    ray["spec"]["headGroup"] = {}
    assert "field not declared in schema" in judge.verdict(ray)

    scaled = the("ScaledObject", "vllm-lws-keda")
    scaled["spec"]["maxReplicas"] = 3
    assert ".spec.maxReplicas: field not declared in schema" in judge.verdict(scaled)
