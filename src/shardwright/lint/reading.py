"""Safe access to values nobody has checked: a wrong type reads as absent, never as an error."""

from __future__ import annotations

from collections.abc import Iterable

_EMPTY: dict[str, object] = {}
_MAX_DIGITS = 18


def mapping(value: object) -> dict[str, object]:
    """Return the mapping, or an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def sequence(value: object) -> list[object]:
    """Return the list, or an empty one."""
    return value if isinstance(value, list) else []


def mappings(value: object) -> Iterable[tuple[int, dict[str, object]]]:
    """Yield the mappings of a list with their indices."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield index, item


def text(value: object) -> str:
    """Return a scalar as text, "" for anything else.

    >>> text(8000), text(True), text(None), text([])
    ('8000', 'true', '', '')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def integer(value: object) -> int | None:
    """Return a whole number, also when written as text; None for anything else.

    >>> integer("8"), integer(8.0), integer("8Gi"), integer(True), integer("9" * 5000)
    (8, 8, None, None, None)
    """
    if type(value) is int:  # a bool is none
        return value
    if isinstance(value, float):
        return int(value) if value == value // 1 and abs(value) < 10**_MAX_DIGITS else None
    if isinstance(value, str) and len(value) <= _MAX_DIGITS:
        stripped = value.strip()
        digits = stripped[1:] if stripped[:1] in {"-", "+"} else stripped
        return int(stripped) if digits.isascii() and digits.isdigit() else None
    return None


def dig(value: object, *path: str | int) -> object:
    """Follow a path; None as soon as it leaves the data.

    >>> dig({"a": [{"b": 1}]}, "a", 0, "b"), dig({"a": 1}, "a", "b")
    (1, None)
    """
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return None
            value = value[step]
        else:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
    return value


def string_map(value: object) -> dict[str, str]:
    """Return a mapping of strings such as labels, scalars as text."""
    return {str(key): text(item) for key, item in mapping(value).items()}
