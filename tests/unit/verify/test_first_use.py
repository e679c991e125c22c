"""The first use of an endpoint over a line that breaks once, and over one that stays broken."""

import pytest

from shardwright.drive.memory import MemoryClock
from shardwright.model.running import Reply, Unreachable
from shardwright.verify.client import Client
from shardwright.verify.first_use import FirstUse

CHUNK = '{"choices": [{"text": "1"}]}'


class Endpoint:
    """Answers well; `broken` streams break off first, each after so many seconds."""

    def __init__(self, clock, broken=0, after_s=0.0, status=200):
        self.clock, self.broken, self.after_s, self.status = clock, broken, after_s, status
        self.num_streams = 0

    def send(self, url, *, body, key, timeout_s):
        if url.endswith("/models"):
            return Reply(status=self.status, body=b'{"data": [{"id": "m"}]}')
        return Reply(status=200, body=b'{"usage": {"completion_tokens": 8}}')

    def stream(self, url, *, body, key, timeout_s):
        self.num_streams += 1
        yield CHUNK
        if self.num_streams <= self.broken:
            self.clock.sleep(self.after_s)
            raise Unreachable("peer closed connection")
        yield "[DONE]"


def used(endpoint):
    client = Client(http=endpoint, base="http://127.0.0.1", model="m")
    checks = FirstUse(client=client, clock=endpoint.clock, health_path="/health").checks()
    return {each.name: each for each in checks}


def test_a_line_that_breaks_once_is_told_and_held_against_nobody():
    clock = MemoryClock()
    checks = used(Endpoint(clock, broken=1))
    assert [each.passed for each in checks.values()] == [True] * 4
    assert checks["stream"].detail == (
        "1 chunks, the first after 0.0 s, at try 2; at the first: peer closed connection"
    )
    assert clock.now() == 2.0


@pytest.mark.parametrize(("after_s", "num_streams"), [(1.0, 3), (31.0, 1)])
def test_what_stays_broken_fails_after_three_tries_or_a_long_one(after_s, num_streams):
    endpoint = Endpoint(MemoryClock(), broken=9, after_s=after_s)
    stream = used(endpoint)["stream"]
    assert (stream.passed, stream.detail) == (False, "peer closed connection")
    assert endpoint.num_streams == num_streams


def test_a_wrong_answer_stays_one():
    models = used(Endpoint(MemoryClock(), status=500))["models"]
    assert not models.passed
    assert "answered 500" in models.detail
