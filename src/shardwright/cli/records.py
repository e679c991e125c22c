"""The user's measurements as rows of a table: from the records `bench` keeps, or from a file."""

from __future__ import annotations

from pathlib import Path

from shardwright.cli.options import read_text
from shardwright.cli.tables import read_rows

NEEDED = ("model", "gpu")


def read_records(path: Path | None, measured: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Read a CSV table or JSON lines; by default what benches have kept, none if none has run.
    measured: columns that a table must have besides.
    """
    from shardwright.bench.records import read_lines
    from shardwright.drive.folders import measurements_file

    if path is None:
        path = measurements_file()
        if not path.is_file():
            return []
    if path.suffix == ".jsonl":
        return read_lines(read_text(path))
    return read_rows(path, (*NEEDED, *measured))
