"""Answers of an API server that are not what was hoped for, and what becomes of them."""

from __future__ import annotations

import httpx2 as httpx
import pytest

from shardwright.drive.kube import KubeCluster
from shardwright.drive.kube_errors import status_error
from shardwright.drive.kubeconfig import Access
from shardwright.drive.memory import MemoryClock
from shardwright.model.errors import ShardwrightError

KINDS = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
EXPIRED = {
    "kind": "Status",
    "code": 410,
    "reason": "Expired",
    "message": "The provided continue parameter is too old to display a consistent list result.",
}


def cluster(server: httpx.MockTransport) -> KubeCluster:
    access = Access(server="https://api", namespace="default", source="a test")
    client = httpx.Client(base_url="https://api", transport=server)
    return KubeCluster(client, access, MemoryClock())


def named(name: str) -> dict[str, dict[str, str]]:
    return {"metadata": {"name": name}}


def test_a_list_whose_continuation_expired_is_read_anew_and_whole() -> None:
    """As client-go's pager does (tools/pager, FullListIfExpired)."""
    asked: list[dict[str, str]] = []

    def server(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1":
            return httpx.Response(200, json=KINDS)
        asked.append(params := dict(request.url.params))
        if "continue" in params:
            return httpx.Response(410, json=EXPIRED)
        if "limit" in params:
            page = {"items": [named("a"), named("gone")], "metadata": {"continue": "token"}}
            return httpx.Response(200, json=page)
        return httpx.Response(200, json={"items": [named("a"), named("b")], "metadata": {}})

    found = cluster(httpx.MockTransport(server)).list("v1", "ConfigMap", labels={"app": "x"})
    assert [each["metadata"]["name"] for each in found] == ["a", "b"]
    assert asked[-1] == {"labelSelector": "app=x"}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html><title>Sign in</title></html>"),
        httpx.Response(302, headers={"Location": "https://login.example/"}),
    ],
    ids=["page", "redirection"],
)
def test_a_login_page_is_told_as_one_and_is_no_bug_of_ours(answer: httpx.Response) -> None:
    with pytest.raises(ShardwrightError) as told:
        cluster(httpx.MockTransport(lambda _: answer)).server_version()
    assert told.value.code == "not-an-api-server"
    assert str(answer.status_code) in told.value.what


RIGHTS = 'pods is forbidden: User "eve" cannot list resource "pods" in API group ""'
GRANT = 'user "eve" (groups=["a"]) is attempting to grant RBAC permissions not currently held'
QUOTA = 'persistentvolumeclaims "llama-models" is forbidden: exceeded quota: team'
WEBHOOK = 'admission webhook "vleaderworkerset.kb.io" denied the request: spec.replicas: Invalid'


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (RIGHTS, "cluster-forbidden"),
        (GRANT, "cluster-forbidden"),
        (QUOTA, "admission-refused"),
        (WEBHOOK, "admission-refused"),
    ],
)
def test_a_refusal_of_rights_is_told_from_one_of_the_object(message: str, code: str) -> None:
    body = httpx.Response(403, json={"message": message, "reason": "Forbidden"}).text
    assert status_error(403, body).code == code
