"""CSV tables in and out, as the batch commands read and write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import click

from shardwright.cli.options import json_text, read_text, write_text
from shardwright.model.answers import versioned
from shardwright.model.errors import usage_error

points_argument = click.argument("points", metavar="POINTS.csv", type=click.Path(path_type=Path))
MOST_NAMED = 12
out_option = click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; stdout if left out."
)


def read_rows(path: Path, needed: Iterable[str] = ()) -> list[dict[str, str]]:
    """Read a table with a header; an absent column that is needed is an error."""
    reader = csv.DictReader(io.StringIO(read_text(path)))
    try:
        rows = [{k: v or "" for k, v in row.items() if k is not None} for row in reader]
    except csv.Error as error:
        raise usage_error(
            "table-not-readable", f"{path} is no CSV table: {error}",
            remedy="save it as comma-separated text with the columns' names in its first line",
        ) from error  # fmt: skip
    if not reader.fieldnames:
        raise usage_error(
            "table-empty", f"{path} holds no table",
            remedy="write the columns' names into its first line, and a row for each point",
        )  # fmt: skip
    absent = [name for name in needed if name not in (reader.fieldnames or ())]
    if absent:
        raise usage_error(
            "column-missing",
            f"{path} has no column {', '.join(absent)}",
            remedy=_like(absent, reader.fieldnames or ()),
        )
    return rows


def _like(absent: Sequence[str], there: Sequence[str]) -> str:
    """Guess under which other names the columns are there."""
    guesses = []
    for name in absent:
        means = {f"{name}_mean", f"{name}_avg", f"mean_{name}", f"avg_{name}"}
        mean = [each for each in there if each.lower() in means]
        near = mean or get_close_matches(name, there, n=1, cutoff=0.75)
        guesses += [f"{near[0]} to {name}"] if near else []
    if guesses:
        return f"rename {', '.join(guesses)}, if that is it"
    named = ", ".join(there[:MOST_NAMED]) + (", …" if len(there) > MOST_NAMED else "")
    return f"the first line must name the columns; it says: {named or 'nothing'}"


def write_rows(kind: str, rows: list[dict[str, str]], out: Path | None, output: str) -> None:
    """Write a table as CSV, or as JSON of its kind where asked, to a file or stdout."""
    text = json_text(versioned(kind, {"rows": rows})) if output == "json" else _csv(rows)
    if out is None:
        click.echo(text, nl=False)
        return
    write_text(out, text)
    click.echo(f"{len(rows)} rows written to {out}", err=True)


def _csv(rows: list[Mapping[str, str]] | list[dict[str, str]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
