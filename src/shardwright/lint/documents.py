"""YAML text to plain values with positions, for anybody's manifests, however mangled.

libyaml's events are read in one loop, so nesting costs no stack and a Kubernetes document of forty
lines about a third of a millisecond. Scalars are typed as JSON has them: `no`, `on` and octals stay
strings, which is what their authors meant. Called by `objects`; the edits of `fix` use the spots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol, cast

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_DEPTH = 200
"""Nesting beyond this is refused; the deepest Kubernetes schema stays under 40."""
MAX_ALIASED_NODES = 200_000
"""Nodes a document may have once its aliases are written out: a guard against YAML bombs."""

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML 1.1 counts as the end of a line, and so what positions are counted in."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
_NUMBER_STARTS = frozenset("-0123456789")


class Mark(Protocol):
    """A place in the text; line and column count from 0."""

    line: int
    column: int


class Spot:
    """Where one value stands. style: None for collections, "" for a plain scalar."""

    __slots__ = ("end", "items", "keys", "size", "start", "style")

    def __init__(self, start: Mark, end: Mark, style: str | None = None) -> None:
        self.start = start
        self.end = end
        self.style = style
        self.keys: dict[str, tuple[Mark, Spot]] | None = None
        self.items: list[Spot] | None = None
        self.size = 1

    @property
    def is_flow(self) -> bool:
        """True for `{...}` and `[...]`."""
        return self.style == "flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document: its value, its positions, and the keys written twice in one mapping."""

    value: object
    spot: Spot
    duplicates: tuple[tuple[str, Mark], ...] = ()


class BrokenYamlError(Exception):
    """The text is no YAML. line counts from 1; None when libyaml cannot tell."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def read_documents(text: str) -> tuple[list[Document], BrokenYamlError | None]:
    """Read every document up to the first that is broken, and say what broke it.

    >>> documents, broken = read_documents("a: {n: 1, flag: no}\\n---\\n- 'x'\\n")
    >>> [d.value for d in documents], broken
    ([{'a': {'n': 1, 'flag': 'no'}}, ['x']], None)
    """
    documents: list[Document] = []
    try:
        parser = CParser(text)
        while True:
            event = parser.get_event()
            if event is None:
                return documents, None
            if isinstance(event, _NODE_STARTS):
                documents.append(_Builder(parser).build(event))
    except YAMLError as error:
        return documents, _explain(error, text)
    except UnicodeError:
        return documents, BrokenYamlError(
            "the text has characters that are not valid Unicode", None
        )
    except BrokenYamlError as error:
        return documents, error


_NODE_STARTS = (ScalarEvent, MappingStartEvent, SequenceStartEvent, AliasEvent)


class _Frame:
    """A collection being filled."""

    __slots__ = ("anchor", "key", "key_mark", "spot", "value")

    def __init__(self, value: Any, spot: Spot, anchor: str | None) -> None:
        self.value = value
        self.spot = spot
        self.anchor = anchor
        self.key: str | None = None
        self.key_mark: Mark | None = None


class _Builder:
    """Builds one document from the parser's events."""

    def __init__(self, parser: Any) -> None:
        self.parser = parser
        self.anchors: dict[str, tuple[object, Spot]] = {}
        self.duplicates: list[tuple[str, Mark]] = []
        self.frames: list[_Frame] = []
        self.result: tuple[object, Spot] | None = None

    def build(self, event: Any) -> Document:
        """Consume events up to the end of the document, the first one given."""
        next_event = self.parser.get_event
        while True:
            kind = type(event)
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open(event, is_mapping=kind is MappingStartEvent)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._close(event)
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentEndEvent:
                break
            event = next_event()
        value, spot = cast("tuple[object, Spot]", self.result)
        return Document(value=value, spot=spot, duplicates=tuple(self.duplicates))

    def _scalar(self, event: Any) -> None:
        raw, style = event.value, event.style or ""
        frame = self.frames[-1] if self.frames else None
        if frame is not None and frame.key is None and frame.spot.keys is not None:
            frame.key, frame.key_mark = raw, event.start_mark
            if event.anchor:
                self.anchors[event.anchor] = (raw, Spot(event.start_mark, event.end_mark, style))
            return
        spot = Spot(event.start_mark, event.end_mark, style)
        value = raw if style or event.tag == "tag:yaml.org,2002:str" else plain_value(raw)
        if event.anchor:
            self.anchors[event.anchor] = (value, spot)
        self._add(value, spot)

    def _close(self, event: Any) -> None:
        frame = self.frames.pop()
        frame.spot.end = event.end_mark
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.value, frame.spot)
        self._add(frame.value, frame.spot)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise BrokenYamlError(f"alias *{event.anchor} has no anchor", event.start_mark.line + 1)
        self._add(*self.anchors[event.anchor])

    def _open(self, event: Any, *, is_mapping: bool) -> None:
        line = event.start_mark.line + 1
        if len(self.frames) >= MAX_DEPTH:
            raise BrokenYamlError(f"nested deeper than {MAX_DEPTH} levels", line)
        frame = self.frames[-1] if self.frames else None
        if frame is not None and frame.spot.keys is not None and frame.key is None:
            raise BrokenYamlError(
                "a mapping or list stands where a key must be"
                " (an unrendered template, `{{ ... }}`, reads like this)",
                line,
            )
        spot = Spot(event.start_mark, event.end_mark, "flow" if event.flow_style else None)
        if is_mapping:
            spot.keys = {}
            self.frames.append(_Frame({}, spot, event.anchor))
        else:
            spot.items = []
            self.frames.append(_Frame([], spot, event.anchor))

    def _add(self, value: object, spot: Spot) -> None:
        if not self.frames:
            self.result = (value, spot)
            return
        frame = self.frames[-1]
        frame.spot.size += spot.size
        if frame.spot.size > MAX_ALIASED_NODES:
            raise BrokenYamlError("aliases multiply to an enormous document", spot.start.line + 1)
        if frame.spot.items is not None:
            frame.value.append(value)
            frame.spot.items.append(spot)
            return
        if frame.key is None:  # an alias as key
            frame.key, frame.key_mark = str(value), spot.start
            return
        self._add_entry(frame, value, spot)

    def _add_entry(self, frame: _Frame, value: object, spot: Spot) -> None:
        key, mark = cast("str", frame.key), cast("Mark", frame.key_mark)
        frame.key = None
        keys = cast("dict[str, tuple[Mark, Spot]]", frame.spot.keys)
        if key == "<<" and isinstance(value, dict):
            for name, merged in value.items():
                if name not in frame.value:
                    frame.value[name] = merged
                    keys[name] = (spot.keys or {}).get(name, (mark, spot))
            return
        if key in frame.value:
            self.duplicates.append((key, mark))
        frame.value[key] = value
        keys[key] = (mark, spot)


def plain_value(raw: str) -> str | int | float | bool | None:
    """Type a plain scalar as JSON does; everything else is a string.

    >>> [plain_value(t) for t in ("8", "1.5", "true", "no", "0644", "~", "1e3", "0x10")]
    [8, 1.5, True, 'no', '0644', None, 1000.0, '0x10']
    """
    if raw in _WORDS:
        return _WORDS[raw]
    if raw[0] in _NUMBER_STARTS and (match := _NUMBER.fullmatch(raw)):
        is_float = match[1] is not None or "e" in raw or "E" in raw
        return float(raw) if is_float else int(raw)
    return raw


def _explain(error: YAMLError, text: str) -> BrokenYamlError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else None
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "no YAML"
    context = getattr(error, "context", None)
    if "{{" in text:
        problem = f"{problem}; it looks like an unrendered template: run `helm template` first"
    return BrokenYamlError(f"{problem} ({context})" if context else str(problem), line)
