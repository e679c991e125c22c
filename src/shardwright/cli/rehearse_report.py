"""What a rehearsal leaves, here and on a cluster alike: its report on stdout and in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import json_text, not_writable, print_json, write_text
from shardwright.model.answers import versioned
from shardwright.model.plain import plain
from shardwright.rehearse.markdown import report_markdown
from shardwright.rehearse.text import report_text

if TYPE_CHECKING:
    from shardwright.rehearse.report import Report


def publish(report: Report, topology: str, folder: Path, output: str) -> None:
    """Write report.md and report.json, then print it. topology: as a Mermaid diagram."""
    body = {"rehearsal": plain(report) | {"passed": report.passed, "directory": str(folder)}}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, str(error.strerror)) from error
    write_text(folder / "report.md", report_markdown(report, topology))
    write_text(folder / "report.json", json_text(versioned("rehearsal", body)))
    if output == "json":
        print_json("rehearsal", body)
    else:
        click.echo(report_text(report), nl=False)
        click.echo(f"report: {folder / 'report.md'}", err=True)
