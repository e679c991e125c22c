"""YAML as written: plain values plus the line and column of every one of them.

Used by `shardwright.spec.load`. Scalars follow the YAML 1.2 core schema, so `no`, `on` and `010`
stay the strings the user wrote; merge keys have no meaning here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from shardwright.model.errors import ExitCode, Place, ShardwrightError

Path = tuple[str | int, ...]

MAX_BYTES = 1 << 20
MAX_VALUES = 20_000  # aliases can multiply a small file without bound

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One YAML document: its value, and where each part of it stands."""

    file: str
    value: Any
    places: dict[Path, Place]

    def place(self, path: Path) -> Place:
        """Return where a path stands, or the nearest part above it that exists."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return Place(file=self.file)


def read_source(text: str, file: str) -> Source:
    """Read exactly one YAML document. Raises ShardwrightError that names file and line."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _not_yaml(Place(file=file), "the file is larger than 1 MiB", "pass a spec file")
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.CBaseLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        )
        if mark is not None and _begins_with_tab(text, mark.line):
            raise _not_yaml(
                place, "the line begins with a tab", "indent it with spaces, as YAML wants"
            ) from error
        problem = error.problem or error.context or "it cannot be read"
        raise _not_yaml(place, problem, "mend the YAML at that line") from error
    except (yaml.YAMLError, ValueError, UnicodeError) as error:
        detail = str(error).splitlines()[0]
        raise _not_yaml(Place(file=file), detail, "save the file as UTF-8 text") from error
    except RecursionError as error:
        raise _not_yaml(Place(file=file), "it is nested too deeply", "flatten it") from error
    if len(documents) > 1:
        line = documents[1].start_mark.line + 1
        raise _not_yaml(
            Place(file=file, line=line),
            f"it holds {len(documents)} documents, one is allowed",
            "split it into one file per document",
        )
    reader = _Reader(file)
    value = reader.read(documents[0], ()) if documents and documents[0] is not None else None
    return Source(file=file, value=value, places=reader.places)


def _begins_with_tab(text: str, line: int) -> bool:
    """Tell whether a tab stands in the indentation of a line, counted from 0."""
    lines = text.split("\n")
    indentation = re.match(r"\s*", lines[line]) if line < len(lines) else None
    return indentation is not None and "\t" in indentation.group()


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}

    def read(self, node: yaml.Node, path: Path) -> Any:
        place = self._at(node)
        self.places.setdefault(path, place)
        if len(self.places) > MAX_VALUES or len(path) > 32:
            raise _not_yaml(place, "it is too large or nested too deeply", "flatten it")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101  (the third and last kind of node)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._at(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise _not_yaml(
                    place, "a key is a list or a mapping", "use a plain word as the key"
                )
            key = key_node.value
            if key in out:
                first = self.places[(*path, key)]
                raise ShardwrightError(
                    code="duplicate-key",
                    what=f"`{key}` is given twice, first at line {first.line}",
                    remedy="keep one of the two",
                    place=place,
                    exit_code=ExitCode.USAGE,
                )
            self.places[(*path, key)] = place
            out[key] = self.read(value_node, (*path, key))
        return out

    def _at(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(file=self.file, line=mark.line + 1, column=mark.column + 1)


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text: str = node.value
    if node.style in ("'", '"', "|", ">"):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= 40:  # longer digits are an id, not a quantity
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def _not_yaml(place: Place, problem: str, remedy: str) -> ShardwrightError:
    return ShardwrightError(
        code="spec-not-readable",
        what=f"the file is not readable as YAML: {problem}",
        remedy=remedy,
        place=place,
        exit_code=ExitCode.USAGE,
    )
