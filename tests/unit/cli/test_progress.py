"""Waiting, said on a terminal in one line that stays, and in a log now and then."""

import io
import os

import pytest

from shardwright.cli import progress as module
from shardwright.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def fileno(self):
        return 2


def test_on_a_terminal_one_line_is_written_over_and_never_wraps(monkeypatch):
    monkeypatch.setattr(os, "get_terminal_size", lambda number: os.terminal_size((20, 24)))
    stream = Terminal()
    progress = Progress(stream)
    progress.say("run: 80 requests")
    for text in ("  3 of 80 requests answered", "  3 of 80 requests answered", "", ""):
        progress.wait(text)
    progress.say("done")
    assert stream.getvalue() == (
        "\r\x1b[Krun: 80 requests\n"
        "\r\x1b[K  3 of 80 requests…\r\x1b[K"  # 19 of 20 columns, then gone
        "\r\x1b[Kdone\n"
    )


@pytest.mark.parametrize(
    ("times", "written"),
    [
        ((0, 1, 2, 3), ""),
        ((0, 11, 12, 30), "  1 of 9\n  2 of 9\n"),
        ((0, 11, 22, 22), "  1 of 9\n"),
    ],
)
def test_in_a_log_it_is_said_every_ten_seconds_and_only_if_it_is_new(monkeypatch, times, written):
    now = [times[0]]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = Progress(stream)
    texts = {11: "  1 of 9", 30: "  2 of 9"}
    for now[0] in times[1:]:
        progress.wait(texts.get(now[0], "  1 of 9"))
    progress.wait("")
    assert stream.getvalue() == written
