"""Text from objects: one deterministic YAML emitter, with reasons as comments on request.

Called by every output of render. Keys come in one canonical order whatever order the code built
them in: what a thing is (apiVersion, kind, metadata, name) first, the rest by alphabet. Strings are
quoted whenever any YAML reader, 1.1 or 1.2, might read them as something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as its API has it."""


@dataclass(frozen=True, slots=True)
class Because:
    """A value with the reason it was chosen; `plain` removes it, `emit` may print it."""

    value: Any
    why: str


def plain(tree: Any) -> Any:
    """Remove every reason from a tree.

    >>> plain({"replicas": Because(2, "asked for")})
    {'replicas': 2}
    """
    match tree:
        case Because(value=value):
            return plain(value)
        case Mapping():
            return {key: plain(value) for key, value in tree.items()}
        case list() | tuple():
            return [plain(value) for value in tree]
    return tree


_FIRST = {"apiVersion": 0, "kind": 1, "metadata": 2, "name": 3}
_WORD = r"""[\w./@%+,=()$~^;*'\[\]{}<>|&!?-]"""
_PLAIN = re.compile(
    rf"(?:[A-Za-z0-9_/.$(]|-(?=[A-Za-z0-9-]))(?:{_WORD}|:(?=\S)| (?=[^\s#]))*", re.ASCII
)
_NOT_A_STRING = re.compile(
    r"(?i:y|n|yes|no|on|off|true|false|null|\.nan|[-+]?\.inf|[-+.]?[0-9][0-9a-fox_:.+-]*|-+|\.+)"
)


def emit(objects: Iterable[Object], *, explain: bool = False) -> str:
    r"""Write objects as one YAML stream; explain: print reasons above their fields.

    >>> print(emit([{"kind": "A", "spec": {"on": "no", "m": Because(1, "why not")}}], explain=True))
    kind: A
    spec:
      # why not
      m: 1
      "on": "no"
    <BLANKLINE>
    """
    return "---\n".join(
        "".join(f"{line}\n" for line in _block(each, "", explain)) for each in objects
    )


def _block(tree: Any, indent: str, explain: bool) -> Iterator[str]:
    if not tree:
        yield f"{indent}{{}}"
    elif isinstance(tree, Mapping):
        for key in sorted(tree, key=lambda k: (_FIRST.get(k, 9), k)):
            yield from _entry(f"{indent}{_scalar(key)}:", tree[key], indent, explain)
    else:
        yield from _items(tree, indent, explain)


def _items(items: Sequence[Any], indent: str, explain: bool) -> Iterator[str]:
    for item in items:
        why, value = _reason(item)
        if why and explain:
            yield f"{indent}# {why}"
        if isinstance(value, Mapping | list | tuple) and value:
            lines = list(_block(value, indent + "  ", explain))
            first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("# "))
            yield from (line[2:] for line in lines[:first])
            yield f"{indent}- {lines[first][len(indent) + 2 :]}"
            yield from lines[first + 1 :]
        else:
            yield from _entry(f"{indent}-", value, indent, explain)


def _entry(head: str, tree: Any, indent: str, explain: bool) -> Iterator[str]:
    why, value = _reason(tree)
    if why and explain:
        yield f"{indent}# {why}"
    if isinstance(value, Mapping) and value:
        yield head
        yield from _block(value, indent + "  ", explain)
    elif isinstance(value, list | tuple) and value:
        yield head
        yield from _block(value, indent, explain)
    elif isinstance(value, str) and _is_literal(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        yield from (f"{indent}  {line}" if line else "" for line in value.splitlines())
    else:
        yield f"{head} {_scalar(value)}"


def _reason(tree: Any) -> tuple[str | None, Any]:
    reasons = []
    while isinstance(tree, Because):
        reasons.append(" ".join(tree.why.split()))
        tree = tree.value
    return "; ".join(filter(None, reasons)) or None, tree


def _is_literal(text: str) -> bool:
    """Whether a block literal carries the text unchanged: printable lines that end at most once."""
    body = text.removesuffix("\n")
    return (
        "\n" in body
        and not body.startswith((" ", "\n"))
        and not body.endswith("\n")
        and all(line.isprintable() and not line.endswith(" ") for line in body.split("\n"))
    )


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and not _NOT_A_STRING.fullmatch(value):
            return value
        quoted = json.dumps(value, ensure_ascii=False)
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
    if isinstance(value, Mapping | list | tuple):
        return "{}" if isinstance(value, Mapping) else "[]"
    return json.dumps(value)
