"""A deployment's waiting on a real terminal: one row at any width, also after a resize."""

import fcntl
import os
import struct
import termios

import pytest

from shardwright.cli.rollout_output import Teller
from shardwright.deploy.target import Waiting

WHAT = "llama-3-1-405b-leader-0 rank 0 loads weights, 12 of 191 files of the claim llama-weights"
"""Beside the 33 characters around it, 79 columns leave 46: 45 of its own and the sign."""


@pytest.fixture
def terminal():
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield ours, stream
    os.close(ours)


def widen(stream, width):
    fcntl.ioctl(stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))


def waited(terminal, teller):
    teller(Waiting(what=WHAT, after_s=61, since_s=30, budget_s=1200))
    return os.read(terminal, 4096).decode().removeprefix("\r\x1b[K")


def test_the_name_gives_way_before_the_seconds_and_a_resize_counts_at_once(terminal):
    ours, stream = terminal
    teller = Teller(stream)
    seen = {}
    for width in (200, 80, 60, 20):
        widen(stream, width)
        seen[width] = waited(ours, teller)
    assert seen[200] == f"    61 s  waiting: {WHAT}, 30 of 1200 s"
    assert (
        seen[80]
        == "    61 s  waiting: llama-3-1-405b-leader-0 rank 0 loads weights,…, 30 of 1200 s"
    )
    assert len(seen[80]) == 79
    assert seen[60].startswith("    61 s  waiting: llama-3-1")
    assert seen[60].endswith("…, 30 of 1200 s")
    assert len(seen[60]) == 59
    assert len(seen[20]) == 19
