"""Tables of facts as shipped: CSV files; every row names its source and the day it was read."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


@cache
def rows(name: str, source: str = "source") -> tuple[dict[str, str], ...]:
    """Return the rows of a table under facts/data; source is the column that must not be empty.

    Raises ValueError for a row without source or date: a number nobody can check is not a fact.
    """
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        table = tuple(csv.DictReader(file))
    for number, row in enumerate(table, 2):
        if not row.get(source) or not row.get("retrieved"):
            raise ValueError(f"{name}:{number}: no {source} or no date")
    return table


def optional_int(row: dict[str, str], column: str) -> int | None:
    """Return a whole number, or None where the cell is empty: not found or not verified."""
    return int(row[column]) if row[column] else None


def optional_float(row: dict[str, str], column: str) -> float | None:
    """Return a number, or None where the cell is empty."""
    return float(row[column]) if row[column] else None
