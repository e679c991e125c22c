"""Text from objects: one deterministic YAML emitter, with reasons as comments on request.

Called by every output of render. Keys come in one canonical order whatever order the code built
them in: what a thing is (apiVersion, kind, metadata, name) first, the rest by alphabet. Strings are
quoted whenever any YAML reader, 1.1 or 1.2, might read them as something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
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
    if isinstance(tree, Because):
        return plain(tree.value)
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    return [plain(value) for value in tree] if isinstance(tree, list | tuple) else tree


_NESTED = (dict, list, tuple)
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
    return "---\n".join(_document(each, explain) for each in objects)


def _document(tree: Object, explain: bool) -> str:
    lines: list[str] = []
    _block(lines, tree, "", explain)
    lines.append("")
    return "\n".join(lines)


def _block(lines: list[str], tree: Any, indent: str, explain: bool) -> None:
    """Add the lines of a tree to those before it."""
    if not tree:
        lines.append(f"{indent}{{}}")
    elif isinstance(tree, dict):
        for key in _in_order(tuple(tree)):
            _entry(lines, f"{indent}{_scalar(key)}:", tree[key], indent, explain)
    else:
        for item in tree:
            _item(lines, item, indent, explain)


@lru_cache(maxsize=1024)
def _in_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Put keys in their canonical order; objects of a kind have the same few sets of keys."""
    return tuple(sorted(keys, key=lambda key: (_FIRST.get(key, 9), key)))


def _item(lines: list[str], item: Any, indent: str, explain: bool) -> None:
    why, value = _reason(item) if isinstance(item, Because) else (None, item)
    if why and explain:
        lines.append(f"{indent}# {why}")
    if not value or not isinstance(value, _NESTED):
        _entry(lines, f"{indent}-", value, indent, explain)
        return
    first = len(lines)
    _block(lines, value, indent + "  ", explain)
    while lines[first].lstrip().startswith("# "):  # a reason stands above the dash
        lines[first] = lines[first][2:]
        first += 1
    lines[first] = f"{indent}- {lines[first][len(indent) + 2 :]}"


def _entry(lines: list[str], head: str, tree: Any, indent: str, explain: bool) -> None:
    why, value = _reason(tree) if isinstance(tree, Because) else (None, tree)
    if why and explain:
        lines.append(f"{indent}# {why}")
    if isinstance(value, str):
        if "\n" not in value or not _is_literal(value):
            lines.append(f"{head} {_scalar(value)}")
            return
        lines.append(f"{head} |{'' if value.endswith(chr(10)) else '-'}")
        lines += [f"{indent}  {line}" if line else "" for line in value.splitlines()]
    elif value and isinstance(value, _NESTED):
        lines.append(head)
        _block(lines, value, f"{indent}  " if isinstance(value, dict) else indent, explain)
    else:
        lines.append(f"{head} {_scalar(value)}")


def _reason(tree: Any) -> tuple[str | None, Any]:
    """Part what is written from why."""
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
        and not body.endswith((" ", "\n"))
        and " \n" not in body
        and body.replace("\n", "").isprintable()
    )


@lru_cache(maxsize=4096)
def _text(value: str) -> str:
    """Write a string; the same keys and values are in object after object."""
    if _PLAIN.fullmatch(value) and not _NOT_A_STRING.fullmatch(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, _NESTED):
        return "{}" if isinstance(value, dict) else "[]"
    return str(value) if type(value) is int else json.dumps(value)
