"""`shardwright bundle`: the evidence of a failure in one file, without its secrets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.options import json_text, not_writable, output_option, print_json
from shardwright.model.answers import versioned
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.diagnose.evidence import Document

MAX_FILE_BYTES = 20 << 20
"""Bytes kept of one file: its first and last half of that."""


@click.command(name="bundle")
@click.argument("name", required=False)
@click.option(
    "--evidence",
    "paths",
    multiple=True,
    metavar="DIR|FILE|-",
    help="Files to pack besides; - is stdin.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive; default: NAME-bundle.tar.gz.",
)
@click.option(
    "--spec",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SPEC.yaml",
    help="What was planned, for the findings; default: the record of NAME.",
)
@namespace_option
@cluster_options
@output_option
def command(
    name: str | None, paths: tuple[str, ...], out: Path | None, spec: Path | None,
    namespace: str | None, kubeconfig: Path | None, context: str | None, output: str,
) -> int:  # fmt: skip
    """Pack logs, events and objects of NAME, or files, with the doctor's findings, to pass on.

    Tokens, passwords, keys and the data of Secrets are replaced by [redacted]. Look into it before
    you pass it on: no rule knows every secret.
    """
    from shardwright.cli.doctor import as_documents, deployed, planned_by
    from shardwright.diagnose.doctor import as_json, examine
    from shardwright.diagnose.evidence import Document as Text
    from shardwright.diagnose.redaction import redact
    from shardwright.drive.evidence_files import evidence_documents, pack

    found_here = evidence_documents(paths)
    evidence, unread = [*found_here.documents], found_here.unread
    planned = planned_by(spec) if spec else None
    if name is not None:
        found = deployed(name, namespace, kubeconfig, context)
        evidence += as_documents(found.as_files())
        planned, unread = planned or found.planned, unread + found.unread
    if not evidence:
        raise usage_error(
            "no-evidence", "there is nothing to pack",
            remedy="name a deployed endpoint, or pass --evidence DIR|FILE|-",
        )  # fmt: skip
    files: dict[str, str] = {}
    hidden: Counter[str] = Counter()
    for document in evidence:
        text, replaced = redact(_shortened(document))
        files[document.name] = text
        hidden += replaced
    texts = [Text(name=n, chunks=[files[n].encode()]) for n in sorted(files)]
    report = examine(texts, planned=planned, unread=unread)
    files["findings.json"] = json_text(versioned("diagnosis", as_json(report)))
    target = out or Path(f"{name or 'evidence'}-bundle.tar.gz")
    try:
        size = pack(files, target)
    except OSError as error:
        raise not_writable(target, str(error.strerror)) from error
    if output == "json":
        body = {"file": str(target), "bytes": size, "files": sorted(files), "redacted": hidden}
        print_json("bundle", body)
    else:
        click.echo(f"{target}: {len(files)} files, {size} bytes")
        for each in found_here.unread:
            click.echo(f"  not read: {each}")
        for kind in sorted(hidden):
            click.echo(f"  {hidden[kind]} redacted: {kind}")
    return ExitCode.DONE


def _shortened(document: Document) -> str:
    head, tail = bytearray(), bytearray()
    half = MAX_FILE_BYTES // 2
    dropped = 0
    for chunk in document.chunks:
        room = max(0, half - len(head))
        head += chunk[:room]
        tail += chunk[room:]
        dropped += max(0, len(tail) - half)
        del tail[: max(0, len(tail) - half)]
    between = f"\n... {dropped} bytes left out ...\n".encode() if dropped else b""
    return (bytes(head) + between + bytes(tail)).decode("utf-8", "replace")
