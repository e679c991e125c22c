"""Which lines of a Kubernetes object say what was asked for, and which say what happened.

A command that greps for "CUDA out of memory", an annotation that quotes it, a ConfigMap with such a
script are no failure: of an object only its status, and of an event its message, tell of anything
that happened. Read line by line, as `kubectl` writes YAML, JSON and descriptions: no parser that
untrusted text could run away with, and nothing is done where no object is. Called by scanning.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import re2

from shardwright.diagnose.evidence import Source

WORDS: Final = ("apiversion: ", 'apiversion": ', "\nnamespace:  ")
"""What an object amid a log cannot begin without, in lower case."""
_IN_LOG: Final = (b"apiVersion", b"\nNamespace:  ")
_ELSEWHERE: Final = (*_IN_LOG, b"kind: ", b'"metadata":', b"Name: ", b"status:", b"spec:")

_YAML: Final = re2.compile(rb"^( *(?:- )?)([a-z][A-Za-z]*): *(\S*)")
_JSON: Final = re2.compile(rb'^( *)"([a-z][A-Za-z]*)": ?("?\w*)')
_SAID: Final = frozenset(
    {b"status", b"message", b"note", b"reason", b"type", b"involvedObject", b"regarding"}
)
"""Keys of an object, and of an Event, below which the cluster speaks."""
_WITH_VALUE: Final = _SAID | frozenset(
    {b"action", b"apiVersion", b"count", b"data", b"eventTime", b"firstTimestamp", b"immutable",
     b"items", b"kind", b"lastTimestamp", b"metadata", b"provisioner", b"reclaimPolicy",
     b"reportingComponent", b"reportingInstance", b"series", b"source", b"spec", b"stringData",
     b"value", b"volumeBindingMode"}
)  # fmt: skip
"""Keys of objects that may have a value on their line; `error: ...` after an object is a log's."""
_PARTS: Final = (b"metadata", b"spec", b"status")
_STRUCTURE: Final = b" {}[],"

_DESCRIBED: Final = re2.compile(rb"^( *)([A-Za-z][\w ()/-]*):(?:[ \t]|$)")
_ASKED: Final = frozenset(
    {b"Annotations", b"Args", b"Command", b"Environment", b"Environment Variables from", b"Labels",
     b"Liveness", b"Mounts", b"Node-Selectors", b"Readiness", b"Selector", b"Spec", b"Startup",
     b"Volumes"}
)  # fmt: skip
"""Sections of `kubectl describe` that repeat what was asked for."""
_DATA_ENDS: Final = (b"Events:", b"BinaryData")

_ONE_LINE: Final = (b'{"apiVersion":', b'{"kind":', b'{"metadata":', b'{"items":')
_TURNS: Final = re2.compile(
    rb'"(?:(spec|metadata|data|stringData)":\{|status":\{|(?:message|note|reason)":")'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Where in a run of lines the source changes: byte offsets, and the source from each on (None:
    no object's).
    """

    offsets: tuple[int, ...] = ()
    sources: tuple[Source | None, ...] = ()

    def source_at(self, offset: int) -> Source | None:
        """Return the source of the text at an offset, None where it is no object's."""
        place = bisect_right(self.offsets, offset) - 1
        return self.sources[place] if place >= 0 else None


@dataclass(slots=True)
class Reader:
    """Reads one block, which may be a log. has_left: what is no object came after one."""

    is_log: bool = False

    objects: list[_Object] = field(default_factory=list)
    description: _Description | None = None
    before: bytes = b""
    has_left: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether the next line may belong to an object."""
        return bool(self.objects or self.description)

    def read(self, lines: bytes) -> Spoken:
        """Take whole lines; say who speaks where."""
        words = _IN_LOG if self.is_log else _ELSEWHERE
        if not (self.is_inside or any(word in lines for word in words)):
            return Spoken()
        offsets: list[int] = []
        sources: list[Source | None] = []
        now: Source | None = None
        position = 0
        for line in lines.splitlines(keepends=True):
            one_line = line.startswith(_ONE_LINE)
            told = _one_line(line) if one_line else ((0, self._line(line.rstrip())),)
            for offset, source in told:
                if source is not now:
                    offsets.append(position + offset)
                    sources.append(source)
                    now = source
            position += len(line)
        return Spoken(offsets=tuple(offsets), sources=tuple(sources))

    def _line(self, text: bytes) -> Source | None:
        before, self.before = self.before, text
        if self.description:
            source = self.description.read(text)
            if source is not None:
                return source
            self.description = None
        self._follow(text)
        if self.objects:
            return self.objects[-1].source
        if before.startswith(b"Name: ") and _DESCRIBED.match(text):
            self.description = _Description()
            return self.description.read(text)
        return None

    def _follow(self, text: bytes) -> None:
        """Enter and leave objects."""
        found = _YAML.match(text) or _JSON.match(text)
        if not found:
            is_other = text.strip(_STRUCTURE) and not text.startswith((b" ", b"#", b"- "))
            if is_other and self.objects:
                self.objects.clear()
                self.has_left = True
            return
        column, key, value = len(found.group(1)), found.group(2), found.group(3).strip(b'"')
        while self.objects and column < self.objects[-1].column:
            self.objects.pop()
        inside = self.objects[-1] if self.objects else None
        if inside and column == inside.column:
            if column == 0 and value and key not in _WITH_VALUE:
                self.objects.clear()
                self.has_left = True
                return
            inside.key = key
            inside.is_node = value == b"Node" if key == b"kind" else inside.is_node
        elif (inside is None or inside.key == b"items") and self._begins(text, key):
            self.objects.append(_Object(column=column, key=key, is_node=value == b"Node"))

    def _begins(self, text: bytes, key: bytes) -> bool:
        """Tell whether an object may begin here; items of a list, and cut ones, lack the first."""
        is_whole = key in (b"apiVersion", b"kind")
        is_cut = key in _PARTS and (text.endswith(b":") or text.lstrip().startswith(b'"'))
        return is_whole or (is_cut and not self.is_log)


@dataclass(slots=True, kw_only=True)
class _Object:
    """The object around a line: the column of its keys, and the key that holds now."""

    column: int
    key: bytes
    is_node: bool

    @property
    def source(self) -> Source:
        # a node's taints and whether it is cordoned are its state, and stand in its spec
        is_state = self.key in _SAID or (self.is_node and self.key == b"spec")
        return Source.CLUSTER if is_state else Source.MANIFEST


@dataclass(slots=True)
class _Description:
    """Where one is in the answer of `kubectl describe`, from its second line on."""

    column: int = 0
    is_asked: bool = False
    is_data: bool = False
    has_events: bool = False
    before: bytes = b""

    def read(self, text: bytes) -> Source | None:
        """Say who speaks in a line; None: the description is over."""
        before, self.before = self.before, text
        if self.is_data and not text.startswith(_DATA_ENDS):
            return Source.MANIFEST
        self.is_data = before == b"Data" and text == b"===="
        if self.has_events and text and not text.startswith(b" "):
            return None
        self.has_events = self.has_events or text.startswith(b"Events:")
        found = _DESCRIBED.match(text)
        if found:
            column = len(found.group(1))
            if not self.is_asked or column <= self.column:
                self.column, self.is_asked = column, found.group(2) in _ASKED
        elif text and not text.startswith(b" "):
            self.is_asked = False  # a termination message has lines of its own
        return Source.MANIFEST if self.is_asked else Source.CLUSTER


def _one_line(line: bytes) -> tuple[tuple[int, Source | None], ...]:
    """Read an object that is one line of JSON: what holds is told by the key before."""
    turns = tuple(
        (found.start(), Source.MANIFEST if found.group(1) else Source.CLUSTER)
        for found in _TURNS.finditer(line)
    )
    return ((0, Source.MANIFEST), *turns)
