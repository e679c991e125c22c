"""An API server that hangs up midway: what may be done twice is asked again, over real lines.

The server is a small one on loopback; time is a test's own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2 as httpx
import pytest

from shardwright.drive.kube import KubeCluster
from shardwright.drive.kubeconfig import Access
from shardwright.drive.memory import MemoryClock
from shardwright.model.cluster import ObjectRef
from shardwright.model.errors import ShardwrightError

KINDS = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
META = {"name": "a", "namespace": "default", "uid": "u"}
OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": META}
CONFIG = ObjectRef(api_version="v1", kind="ConfigMap", name="a", namespace="default")


class Failing(BaseHTTPRequestHandler):
    """Hangs up on so many requests about objects, or refuses them, then answers.

    status: of the refusal; None is to hang up after the request was read.
    """

    left: int
    status: int | None
    seen: list[str]

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/v1":
            self.reply(200, KINDS)
            return
        self.seen.append(self.command)
        if type(self).left == 0:
            self.reply(200, OBJECT)
            return
        type(self).left -= 1
        if self.status is not None:
            self.reply(self.status, {"message": "not now"})
        self.close_connection = True

    do_GET = do_PATCH = do_DELETE = do_POST = answer  # noqa: N815

    def reply(self, status: int, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Talk:
    def __init__(self, server: ThreadingHTTPServer, handler: type[Failing]) -> None:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        self.server = server
        self.handler = handler
        self.clock = MemoryClock()
        self.client = httpx.Client(base_url=address, trust_env=False)
        access = Access(server=address, namespace="default", source="a test")
        self.cluster = KubeCluster(self.client, access, self.clock)

    def fail(self, times: int, status: int | None = None) -> None:
        self.handler.left, self.handler.status = times, status


@pytest.fixture
def talk() -> Iterator[Talk]:
    handler = type("Handler", (Failing,), {"left": 0, "status": None, "seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        talk = Talk(server, handler)
        with talk.client:
            yield talk
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [None, 429, 503])
@pytest.mark.parametrize("verb", ["GET", "PATCH", "DELETE"])
def test_what_may_be_done_twice_outlives_two_failures(
    talk: Talk, verb: str, status: int | None
) -> None:
    talk.fail(2, status)
    if verb == "GET":
        assert talk.cluster.get(CONFIG) == OBJECT
    elif verb == "PATCH":
        assert talk.cluster.apply(OBJECT) == OBJECT
    else:
        assert talk.cluster.delete(CONFIG, uid="u") is True
    assert talk.handler.seen == [verb] * 3
    assert talk.clock.now() == 1.0 + 2.0


def test_a_creation_that_was_hung_up_on_is_told_since_it_may_have_been_done(talk: Talk) -> None:
    talk.fail(1)
    with pytest.raises(ShardwrightError) as told:
        talk.cluster.create(OBJECT)
    assert told.value.code == "cluster-unreachable"
    assert talk.handler.seen == ["POST"]


def test_a_server_that_goes_on_hanging_up_is_told_in_the_end(talk: Talk) -> None:
    talk.fail(1000)
    with pytest.raises(ShardwrightError) as told:
        talk.cluster.get(CONFIG)
    assert told.value.code == "cluster-unreachable"
    assert talk.handler.seen == ["GET"] * 5


def test_a_server_that_is_gone_is_waited_for_once_it_was_met(talk: Talk) -> None:
    talk.cluster.get(CONFIG)
    talk.server.shutdown()
    talk.server.server_close()
    with pytest.raises(ShardwrightError, match="does not answer"):
        talk.cluster.get(CONFIG)
    assert talk.clock.now() == 1.0 + 2.0 + 4.0 + 8.0


def test_an_address_that_never_answered_is_told_at_once(talk: Talk) -> None:
    talk.server.shutdown()
    talk.server.server_close()
    with pytest.raises(ShardwrightError, match="does not answer"):
        talk.cluster.get(CONFIG)
    assert talk.clock.now() == 0.0
