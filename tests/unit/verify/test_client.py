"""Streams as vLLM writes them, whole and broken off."""

import pytest

from shardwright.model.running import Unreachable
from shardwright.verify.client import BadAnswer, Client

TOKEN = '{"choices": [{"delta": {"content": "x"}}]}'
BROKEN = (
    '{"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError", '
    '"param": null, "code": 500}}'
)
"""What vLLM 0.32.0 sends into a stream whose engine dies, before the end marker."""


class Streaming:
    """An endpoint that sends these events."""

    def __init__(self, *events):
        self.events = events

    def stream(self, url, *, body, key, timeout_s):
        yield from self.events


def chunks(*events):
    client = Client(http=Streaming(*events), base="http://127.0.0.1", model="m")
    return list(client.stream_chat("hello", 4))


def test_a_whole_stream_ends_at_its_marker():
    assert len(chunks(TOKEN, TOKEN, "[DONE]", TOKEN)) == 2


def test_an_error_within_a_stream_is_no_token_and_no_end():
    with pytest.raises(BadAnswer, match="broke off: EngineCore encountered an issue"):
        chunks(TOKEN, BROKEN, "[DONE]")


def test_a_stream_without_its_marker_was_cut():
    with pytest.raises(Unreachable):
        chunks(TOKEN)
