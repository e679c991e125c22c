"""Validation failures in the words of the file: place, field, what was found, what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from shardwright.spec.source import Path, Source

_TYPES = {
    "int": "a whole number", "float": "a number", "string": "text", "bool": "true or false",
    "list": "a list", "dict": "a mapping", "model": "a mapping", "model_attributes": "a mapping",
}  # fmt: skip
_HINTS = {
    r"^(infiniband|roce|efa|ethernet)-[1-9][0-9]{0,4}g$": (
        "infiniband-400g, roce-200g, efa-3200g, ethernet-100g or the like"
    ),
    r"^[a-z]([-a-z0-9]*[a-z0-9])?$": "lower-case letters, digits and '-', starting with a letter",
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "lower-case letters, digits, '-' and '.'",
    r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$": "a quantity of bytes such as 500Gi",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "letters, digits and '_', not starting with a digit",
    r"^[^\x00-\x1f\x7f]*$": "one line of text without control characters",
}

_SYNONYMS = {
    "tp": "tensor", "pp": "pipeline", "dp": "data", "ep": "expert",
    "rwx": "ReadWriteMany", "rwo": "ReadWriteOnce", "rox": "ReadOnlyMany",
    "leaderworkerset": "lws", "ray": "ray-statefulset", "raycluster": "kuberay",
    "trtllm": "tensorrt-llm", "trt-llm": "tensorrt-llm", "ib": "infiniband",
}  # fmt: skip


def describe(error: ErrorDetails, source: Source, root: type[BaseModel]) -> str:
    """Write one validation error as `file:line: field: found, allowed, nearest`."""
    path = _path_in_file(error, source)
    field = ".".join(str(p) if isinstance(p, str) else f"[{p}]" for p in path).replace(".[", "[")
    place = source.place(path)
    return (
        f"{place.file}:{place.line or 1}: {field or 'the document'}: {_problem(error, path, root)}"
    )


def _path_in_file(error: ErrorDetails, source: Source) -> Path:
    """Drop the parts of pydantic's location that name types and keys of a mapping, not fields."""
    path: Path = ()
    for part in error["loc"]:
        if (*path, part) in source.places or error["type"] in ("missing", "extra_forbidden"):
            path = (*path, part)
    return path


def _problem(error: ErrorDetails, path: Path, root: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "this field is required"
    if kind == "extra_forbidden":
        return _unknown_field(str(path[-1]), _fields_at(path[:-1], root))
    if kind == "value_error":
        return str(context["error"])
    if kind == "enum" or kind == "literal_error":
        return _not_one_of(error["input"], context["expected"])
    limit = _limit(kind, context)
    if path == ("spec", "parallelism"):
        limit = "must be auto or a mapping"
    found = _show(error["input"])
    quoted = kind in ("int_type", "float_type") and _is_number(error["input"])
    return f"{limit}, found {found}{' (remove the quotes)' if quoted else ''}"


def _limit(kind: str, context: Mapping[str, Any]) -> str:
    limits = {
        "greater_than": f"must be more than {_number(context.get('gt'))}",
        "greater_than_equal": f"must be at least {_number(context.get('ge'))}",
        "less_than": f"must be less than {_number(context.get('lt'))}",
        "less_than_equal": f"must be at most {_number(context.get('le'))}",
        "string_too_long": f"must be at most {context.get('max_length')} characters",
        "string_too_short": "must not be empty",
        "finite_number": "must be a finite number",
        "int_from_float": "must be a whole number",
    }
    if kind in limits:
        return limits[kind]
    if kind == "string_pattern_mismatch":
        return f"must be {_HINTS[str(context['pattern'])]}"
    return f"must be {_TYPES.get(kind.removesuffix('_type'), 'of another type')}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unknown_field(name: str, allowed: list[str]) -> str:
    near = nearest(name, allowed)
    hint = f"; did you mean {near}?" if near else ""
    return f"unknown field{hint} (allowed: {', '.join(allowed)})"


def _not_one_of(found: Any, expected: str) -> str:
    allowed = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    near = nearest(str(found), allowed)
    hint = f"; did you mean {near}?" if near else ""
    return f"{_show(found)} is not known{hint} (allowed: {', '.join(allowed)})"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name a typo most likely meant, ignoring case; None if none is near.

    >>> nearest("gpuspernode", ["gpu", "gpusPerNode"])
    'gpusPerNode'
    """
    by_lower = {name.lower(): name for name in known}
    synonym = _SYNONYMS.get(word.lower())
    if synonym in by_lower.values():
        return synonym
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def _fields_at(path: Path, model: type[BaseModel]) -> list[str]:
    for part in path:
        by_alias = {f.alias: f.annotation for f in model.model_fields.values()}
        inner = _model_in(by_alias.get(str(part))) if isinstance(part, str) else model
        if inner is None:
            return []
        model = inner
    return [str(f.alias) for f in model.model_fields.values()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((m for m in map(_model_in, get_args(annotation)) if m is not None), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[1-9][0-9]*(\.[0-9]+)?", value) is not None


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
