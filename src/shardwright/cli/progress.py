"""A rehearsal's events and how far a load is, as they happen: one line each, and a line that counts
on a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from shardwright.rehearse.events import (
    Event,
    Note,
    PhaseDone,
    ProcessStarted,
    Ready,
    Stage,
    Waiting,
)
from shardwright.verify.attempts import Check

_SAY_EVERY_S = 10.0
"""How often a line about waiting is worth keeping in a log; a terminal shows every one."""
_USUAL_WIDTH = 80
_CLEAR = "\r\x1b[K"


class Progress:
    """Writes events to stderr, so that stdout stays the result."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._began = self._waited = time.monotonic()
        self._shown = ""

    def show(self, event: Event) -> None:
        """Write one event."""
        match event:
            case Waiting(at_s=at_s, what=what):
                self.wait(f"    {at_s:4.0f} s  waiting for {what}")
            case Stage(title=title):
                elapsed = time.monotonic() - self._began
                self._line(f"{elapsed:6.1f} s  {title}")
            case _:
                self._line(f"    {_said(event)}")

    def say(self, text: str) -> None:
        """Write a line of our own."""
        self._line(text)

    def _line(self, text: str) -> None:
        self._waited = time.monotonic()
        if self._live:
            self._shown = ""
        self._stream.write(f"{_CLEAR if self._live else ''}{text}\n")
        self._stream.flush()

    def wait(self, text: str) -> None:
        """Write what is being waited for: over the last such line on a terminal, and in a log now
        and then, when it is new. Nothing: the waiting is over.
        """
        if text == self._shown:
            return
        if self._live:
            self._shown = text
            self._stream.write(f"{_CLEAR}{shortened(text, columns(self._stream) - 1)}")
            self._stream.flush()
        elif text and time.monotonic() - self._waited >= _SAY_EVERY_S:
            self._shown = text
            self._line(text)


def columns(stream: TextIO) -> int:
    """Return the columns of a terminal now: a line that is wrapped could not be written over."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
    except (OSError, ValueError):
        return _USUAL_WIDTH


def shortened(text: str, width: int) -> str:
    """Write a text on one line of this width.

    >>> shortened("waiting for weights", 12)
    'waiting for…'
    """
    line = " ".join(text.split("\n"))
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"[:width]


def _said(event: Event) -> str:
    match event:
        case ProcessStarted(member=member, process=process):
            return f"member {member}: {process} started"
        case PhaseDone():
            return (
                f"{event.at_s:4.0f} s  member {event.member} {event.process}: {event.phase} "
                f"in {event.took_s:.1f} s (allowed when deployed: {event.budget_s:.0f} s)"
            )
        case Ready(at_s=at_s, budget_s=budget_s):
            return f"{at_s:4.0f} s  ready (allowed when deployed: {budget_s:.0f} s)"
        case Check(name=name, passed=passed, detail=detail):
            return f"{'ok' if passed else 'FAILED':6} {name}: {detail}"
        case Note(text=text):
            return text
        case _:
            return str(event)
