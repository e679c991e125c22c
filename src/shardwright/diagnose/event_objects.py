"""Reads Event objects as `kubectl get events -o yaml` or `-o json` writes them.

Both write one key a line, so lines are enough: no parser that untrusted text could run away with,
and every value keeps its line number. Called by staleness.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import re2

_KEY: Final = re2.compile(r'^( *)(- )?"?([A-Za-z]+)"?: ?(.*?),?$')
_ABOUT: Final = ("involvedObject", "regarding")
"""Of core/v1 and of events.k8s.io/v1, which says `note` and `regarding`."""
_TEXTS: Final = ("message", "note")
_STAMPS: Final = (
    "series.lastObservedTime",
    "deprecatedLastTimestamp",
    "lastTimestamp",
    "eventTime",
    "metadata.creationTimestamp",
)
"""When it was last seen, the surest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventObject:
    """One event. when: RFC 3339 in UTC, so it sorts as text; lines: all of its own."""

    about: str
    reason: str
    message: str
    when: str
    lines: range


@dataclass(slots=True)
class _Object:
    """What was read of one object: values by their path of at most two keys."""

    first: int
    last: int = 0
    values: dict[str, str] = field(default_factory=dict)
    parent: str = ""


def event_objects(text: str, first_line: int = 1) -> Iterator[EventObject]:
    """Find the events among the objects of a text; other objects are passed over.

    >>> text = "kind: Event\\ninvolvedObject:\\n  name: llm-0\\nreason: Failed\\nmessage: no\\n"
    >>> [(e.about, e.reason, list(e.lines)) for e in event_objects(text)]
    [('llm-0', 'Failed', [1, 2, 3, 4, 5])]
    """
    lines = text.splitlines()
    for depth in sorted(_depths(lines)):
        yield from filter(None, map(_event, _objects(lines, depth, first_line)))


def _depths(lines: list[str]) -> set[int]:
    """Return the columns at which events keep their keys."""
    found = (_KEY.match(line) for line in lines if any(about in line for about in _ABOUT))
    return {_column(match) for match in found if match and match.group(3) in _ABOUT}


def _column(match: Any) -> int:
    return len(match.group(1)) + len(match.group(2) or "")


def _objects(lines: list[str], depth: int, first_line: int) -> Iterator[_Object]:
    """Cut the lines into objects whose own keys stand at this column."""
    current = _Object(first=first_line)
    for number, line in enumerate(lines, first_line):
        match = _KEY.match(line)
        column = _column(match) if match else len(line) - len(line.lstrip())
        if line.strip() and (column < depth or (match and match.group(2) and column == depth)):
            yield current
            current = _Object(first=number)
        if match and column == depth:
            current.parent = match.group(3)
            current.values[current.parent] = _plain(match.group(4))
        elif match and column > depth:
            current.values.setdefault(f"{current.parent}.{match.group(3)}", _plain(match.group(4)))
        elif current.parent in _TEXTS:  # YAML folds a long value over several lines
            current.values[current.parent] += f" {_plain(line)}"
        current.last = number
    yield current


def _plain(text: str) -> str:
    text = text.strip()
    if text.startswith('"') and text.endswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:  # folded, so its end is on a later line
            return text.strip('"')
    return text.strip("'")


def _event(found: _Object) -> EventObject | None:
    values = found.values
    about = next((values[f"{k}.name"] for k in _ABOUT if f"{k}.name" in values), None)
    text = next((values[key] for key in _TEXTS if key in values), None)
    if values.get("kind") != "Event" or about is None or text is None:
        return None
    stamps = (values.get(key, "") for key in _STAMPS)
    return EventObject(
        about=about, reason=values.get("reason", ""), message=text,
        when=next((s for s in stamps if s[:1].isdigit()), ""),
        lines=range(found.first, found.last + 1),
    )  # fmt: skip
