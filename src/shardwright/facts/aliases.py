"""One name per thing: GPUs, engines and dtypes as people, clouds and drivers write them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache

from shardwright.facts.table import DATA


def folded(name: str) -> str:
    """Return a name with case and separators removed, as names are compared.

    >>> folded("H100_SXM") == folded("h100-sxm")
    True
    """
    return "".join(c for c in name.lower() if c.isalnum() or c == ".")


@cache
def aliases(kind: str) -> dict[str, str]:
    """Return folded alias to canonical name; kind: gpu, engine, dtype, model-org or
    model (one of the same shape).
    """
    with (DATA / "aliases.csv").open(newline="", encoding="utf-8") as file:
        table = [row for row in csv.DictReader(file) if row["kind"] == kind]
    out = {folded(row["name"]): row["name"] for row in table}
    for row in table:
        key = folded(row["alias"])
        if out.setdefault(key, row["name"]) != row["name"]:
            raise ValueError(f"aliases.csv: {kind} {row['alias']} names two things")
    return out


def canonical(kind: str, name: str) -> str | None:
    """Return the one name of a thing, or None if it is not known.

    >>> canonical("engine", "TensorRT-LLM"), canonical("gpu", "h100_sxm"), canonical("gpu", "H1000")
    ('trtllm', 'H100-SXM', None)
    """
    return aliases(kind).get(folded(name))


def nearest(name: str, known: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """Return the known names most like the given one, best first.

    >>> nearest("H10-SXM", ["H100-SXM", "L4", "H200-SXM"])[0]
    'H100-SXM'
    """
    import difflib  # only for an error message

    by_key = {folded(k): k for k in known}
    close = difflib.get_close_matches(folded(name), by_key, n=limit, cutoff=0.5)
    return tuple(by_key[k] for k in close)
