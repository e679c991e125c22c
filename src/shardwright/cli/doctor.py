"""`shardwright doctor`: say what happened, first cause first, and what to change."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from shardwright.diagnose.doctor import as_json, as_text, examine
from shardwright.diagnose.evidence import Document
from shardwright.diagnose.scanning import CHUNK_BYTES
from shardwright.model.errors import ExitCode, usage_error


@click.command(name="doctor")
@click.option(
    "--evidence",
    "paths",
    multiple=True,
    required=True,
    metavar="DIR|FILE|-",
    help="Logs, kubectl output, manifests, nvidia-smi output; - reads stdin.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def command(paths: tuple[str, ...], output: str) -> int:
    """Read logs, events and manifests and name the cause of a failure.

    Exit code 0 if a cause was named, 4 if none is known.
    """
    evidence = [document for path in paths for document in documents(path)]
    report = examine(evidence, num_threads=min(8, os.cpu_count() or 1))
    if output == "json":
        click.echo(json.dumps(as_json(report), indent=2, sort_keys=True))
    else:
        click.echo(as_text(report))
    return ExitCode.INCONCLUSIVE if report.unknown else ExitCode.DONE


def documents(path: str) -> list[Document]:
    """Open a file, every file below a directory, or stdin, to be read as a stream."""
    if path == "-":
        return [Document(name="stdin", chunks=_chunks(sys.stdin.buffer))]
    root = Path(path)
    if root.is_file():
        return [Document(name=root.name, chunks=_file_chunks(root))]
    if root.is_dir():
        files = sorted(p for p in root.rglob("*") if p.is_file())
        return [Document(name=str(p.relative_to(root)), chunks=_file_chunks(p)) for p in files]
    raise usage_error(
        "evidence-not-found", f"{path} is neither a file nor a directory",
        remedy="pass a log file, a directory of logs, or - for stdin",
    )  # fmt: skip


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from _chunks(stream)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk
