"""A deployment as it is told: events on stderr while it runs, the outcome on stdout at its end."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from shardwright.cli.cluster import change_line
from shardwright.cli.progress import columns, shortened
from shardwright.deploy.target import Done, Event, Milestone, Moved, Told, Waiting
from shardwright.verify.attempts import Check

if TYPE_CHECKING:
    from shardwright.deploy.outcome import Outcome
    from shardwright.deploy.verification import Verification

SAY_EVERY_S = 30.0
"""How often a line about waiting is worth keeping in a log; a terminal shows every one."""
_CLEAR = "\r\x1b[K"
_LEAST_NAMED = 12
"""Characters of what is waited for that are worth their place on a narrow terminal."""


class Teller:
    """Writes events to stderr, so that stdout stays the result."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._waited = time.monotonic()
        self.told: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Write one event, and keep it if something happened."""
        if isinstance(event, Waiting):
            self._wait(event)
        else:
            self.told.append(event)
            self._line(event_line(event))

    def check(self, check: Check) -> None:
        """Write one answer of the endpoint."""
        self._line(f"          {'ok' if check.passed else 'FAILED':6} {check.name}: {check.detail}")

    def _line(self, text: str) -> None:
        self._waited = time.monotonic()
        self._stream.write(f"{_CLEAR if self._live else ''}{text}\n")
        self._stream.flush()

    def _wait(self, event: Waiting) -> None:
        if self._live:
            self._stream.write(f"{_CLEAR}{waiting_line(event, columns(self._stream) - 1)}")
            self._stream.flush()
        elif time.monotonic() - self._waited >= SAY_EVERY_S:
            self._line(event_line(event))


def waiting_line(event: Waiting, width: int) -> str:
    """Write what is waited for on one line of this width: its name gives way before the seconds.

    >>> event = Waiting(what="llama-0 pulls its image", after_s=61, since_s=30, budget_s=600)
    >>> waiting_line(event, 48)
    '    61 s  waiting: llama-0 pulls i…, 30 of 600 s'
    """
    line = event_line(event)
    named = max(len(event.what) - max(len(line) - width, 0), _LEAST_NAMED)
    return shortened(event_line(replace(event, what=shortened(event.what, named))), width)


def event_line(event: Event) -> str:
    """Write an event on one line.

    >>> from shardwright.verify.ranklog import Step
    >>> event_line(Milestone(pod="llama-0", ranks=(0, 1, 3), step=Step.WEIGHTS, detail="9 GiB",
    ...                      after_s=61.2, took_s=30, budget_s=120))
    '    61 s  llama-0 ranks 0-1,3: weights 9 GiB (30 s of 120 s)'
    """
    match event:
        case Moved(pod=pod):
            budget = f" (up to {event.budget_s:.0f} s)" if event.budget_s else ""
            detail = f": {pod.detail}" if pod.detail else ""
            where = f" on {pod.node}" if pod.node else ""
            return f"{event.after_s:6.0f} s  {pod.name} {pod.stage.value}{where}{budget}{detail}"
        case Milestone():
            detail = f" {event.detail}" if event.detail else ""
            noun = "rank" if len(event.ranks) == 1 else "ranks"
            return (
                f"{event.after_s:6.0f} s  {event.pod} {noun} {ranges(event.ranks)}: "
                f"{event.step.value}{detail} ({event.took_s:.0f} s of {event.budget_s:.0f} s)"
            )
        case Waiting():
            budget = f" of {event.budget_s:.0f}" if event.budget_s else ""
            return f"{event.after_s:6.0f} s  waiting: {event.what}, {event.since_s:.0f}{budget} s"
        case Done(change=change):
            return f"          {change_line(change)}"
        case Told(text=text):
            return f"          {text}"


def ranges(numbers: tuple[int, ...]) -> str:
    """Write numbers as ranges.

    >>> ranges((0, 1, 2, 5, 7, 8))
    '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def outcome_lines(outcome: Outcome) -> list[str]:
    """Write how it ended."""
    from shardwright.cli.options import terminal_width
    from shardwright.diagnose.answer import as_text

    if outcome.result.value == "unchanged":
        return [f"nothing changed: revision {outcome.revision} is ready"]
    if outcome.result.value == "ready":
        lines = [f"ready: revision {outcome.revision} after {outcome.seconds:.0f} s"]
        return lines + (verification_lines(outcome.verification) if outcome.verification else [])
    lines = [f"failed after {outcome.seconds:.0f} s", *(f"  {each}" for each in outcome.problems)]
    if outcome.rolled_back_to is not None:
        back = f"revision {outcome.rolled_back_to}" if outcome.rolled_back_to else "nothing"
        lines.append(f"rolled back to {back}")
    if outcome.report is not None:
        lines.append(as_text(outcome.report, terminal_width()))
    return lines


def verification_lines(found: Verification) -> list[str]:
    """Write what was verified, planned beside seen."""
    agree = [match for match in found.ranks if not match.differences]
    lines = [f"  {'ok' if c.passed else 'FAILED':6} {c.name}: {c.detail}" for c in found.checks]
    if found.ranks:
        told = [match for match in found.ranks if match.seen and match.seen.layers is not None]
        of = "member, stage and layers" if told else "member and stage (the log tells no layers)"
        lines.append(f"  ranks  {len(agree)} of {len(found.ranks)} as planned: {of}")
    for each in found.quantities:
        percent = each.difference_percent
        beside = "" if percent is None else f", {percent:+.1f}% of the plan"
        lines.append(f"  {each.name}: {_amount(each.seen, each.unit)}{beside}")
    for host in found.links:
        ways = ", ".join(f"{count} {way}" for way, count in host.links.items())
        lines.append(f"  links  {host.host}: {ways}")
    used = [each for each in found.shared if each.used_bytes is not None]
    if used:
        most = max(used, key=lambda each: each.used_bytes or 0)
        limit = f"{(most.used_bytes or 0) / 2**20:.0f} MiB of {most.limit_bytes / 2**30:.1f} GiB"
        lines.append(f"  /dev/shm  at most {limit} ({most.pod})")
    return lines + [f"  DIFFERS  {problem}" for problem in found.problems]


def _amount(value: int | None, unit: str) -> str:
    if value is None:
        return "not told by the log"
    return f"{value / 2**30:.2f} GiB" if unit == "bytes" else f"{value:,} {unit}"
