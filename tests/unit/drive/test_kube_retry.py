"""A busy API server is asked again when it says so, and its refusal is told in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2 as httpx
import pytest

from shardwright.drive.kube import KubeCluster
from shardwright.drive.kube_retry import MAX_RETRIES
from shardwright.drive.kubeconfig import Access
from shardwright.drive.memory import MemoryClock
from shardwright.model.cluster import ObjectRef
from shardwright.model.errors import ShardwrightError

CONFIG = ObjectRef(api_version="v1", kind="ConfigMap", name="a", namespace="default")
OBJECT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "default"},
}
KINDS = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}


class Busy:
    """An API server that refuses the first requests about objects and then answers."""

    def __init__(self, refusals: int, status: int = 429, **headers: str) -> None:
        self.left = refusals
        self.status = status
        self.headers = headers
        self.seen: list[tuple[str, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1":
            return httpx.Response(200, json=KINDS)
        self.seen.append((request.method, request.content))
        if self.left:
            self.left -= 1
            refusal = {"message": "too many requests, please try again later"}
            return httpx.Response(self.status, json=refusal, headers=self.headers)
        if request.url.path.endswith("/log"):
            return httpx.Response(200, text="one\ntwo\n")
        return httpx.Response(200, json={**OBJECT, "items": [], "metadata": {}})


@contextmanager
def talking_to(
    server: Callable[[httpx.Request], httpx.Response], clock: MemoryClock | None = None
) -> Iterator[KubeCluster]:
    transport = httpx.MockTransport(server)
    access = Access(server="https://busy", namespace="default", source="a test")
    with httpx.Client(base_url="https://busy", transport=transport) as client:
        yield KubeCluster(client, access, clock or MemoryClock())


def test_a_read_is_asked_again_when_the_server_says() -> None:
    clock = MemoryClock()
    with talking_to(Busy(2, **{"Retry-After": "3"}), clock) as cluster:
        assert cluster.get(CONFIG) is not None
    assert clock.now() == 6.0


def test_an_apply_is_sent_again_with_all_it_said() -> None:
    server = Busy(1, **{"Retry-After": "1"})
    with talking_to(server) as cluster:
        cluster.apply(OBJECT)
    first, second = server.seen
    assert first == second
    assert b'"kind": "ConfigMap"' in first[1]


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_server_error_that_says_when_is_asked_again(status: int) -> None:
    with talking_to(Busy(1, status, **{"Retry-After": "1"})) as cluster:
        assert cluster.list("v1", "ConfigMap") == ()


def test_a_server_that_stays_busy_is_told_in_the_end() -> None:
    server = Busy(1000, **{"Retry-After": "1"})
    with talking_to(server) as cluster, pytest.raises(ShardwrightError) as told:
        cluster.delete(CONFIG)
    assert told.value.code == "cluster-busy"
    assert len(server.seen) == 1 + MAX_RETRIES


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_be_done_twice_is_tried_again_where_no_time_is_said(status: int) -> None:
    clock = MemoryClock()
    with talking_to(Busy(4, status), clock) as cluster:
        assert cluster.delete(CONFIG) is True
    assert clock.now() == 1.0 + 2.0 + 4.0 + 8.0


def test_a_server_that_never_says_when_is_told_after_four_more_tries() -> None:
    server = Busy(1000, 503, **{"Retry-After": "soon"})
    with talking_to(server) as cluster, pytest.raises(ShardwrightError) as told:
        cluster.get(CONFIG)
    assert told.value.code == "cluster-error"
    assert len(server.seen) == 5


def test_a_creation_is_sent_once_where_no_time_is_said() -> None:
    server = Busy(1, 503)
    with talking_to(server) as cluster, pytest.raises(ShardwrightError):
        cluster.create(OBJECT)
    assert len(server.seen) == 1


def test_a_time_not_worth_waiting_for_is_told_at_once() -> None:
    server = Busy(1, **{"Retry-After": "3600"})
    with talking_to(server) as cluster, pytest.raises(ShardwrightError, match="too many requests"):
        cluster.get(CONFIG)
    assert len(server.seen) == 1


def test_what_is_no_refusal_for_now_is_not_asked_again() -> None:
    server = Busy(1, 403, **{"Retry-After": "1"})
    with talking_to(server) as cluster, pytest.raises(ShardwrightError) as told:
        cluster.get(CONFIG)
    assert told.value.code == "cluster-forbidden"


def test_a_log_is_followed_from_a_server_that_was_busy() -> None:
    kinds = {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]}
    busy = Busy(1, **{"Retry-After": "1"})

    def server(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1":
            return httpx.Response(200, json=kinds)
        return busy(request)

    pod = ObjectRef(api_version="v1", kind="Pod", name="a-0", namespace="default")
    clock = MemoryClock()
    with talking_to(server, clock) as cluster:
        assert list(cluster.follow(pod, "main")) == ["one", "two"]
    assert clock.now() == 1.0
