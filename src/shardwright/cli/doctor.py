"""`shardwright doctor`: say what happened, first cause first, and what to change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.options import output_option, print_json
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.diagnose.evidence import Document


@click.command(name="doctor")
@click.argument("name", required=False)
@click.option(
    "--evidence",
    "paths",
    multiple=True,
    metavar="DIR|FILE|-",
    help="Logs, kubectl output, manifests, nvidia-smi output; - is stdin.",
)
@namespace_option
@cluster_options
@output_option
def command(
    name: str | None, paths: tuple[str, ...], namespace: str | None, kubeconfig: Path | None,
    context: str | None, output: str,
) -> int:  # fmt: skip
    """Name the cause of a failure: of the endpoint NAME, or from files (--evidence).

    Exit code 0 if a cause was named, 4 if none is known.
    """
    from shardwright.diagnose.doctor import as_json, as_text, examine

    evidence = [document for path in paths for document in documents(path)]
    if name is not None:
        evidence += deployed(name, namespace, kubeconfig, context)
    elif not paths:
        raise usage_error(
            "no-evidence", "there is nothing to examine",
            remedy="name a deployed endpoint, or pass --evidence DIR|FILE|-",
        )  # fmt: skip
    report = examine(evidence, num_threads=min(8, os.cpu_count() or 1))
    if output == "json":
        print_json(as_json(report))
    else:
        click.echo(as_text(report))
    return ExitCode.INCONCLUSIVE if report.unknown else ExitCode.DONE


def deployed(
    name: str, namespace: str | None, kubeconfig: Path | None, context: str | None
) -> list[Document]:
    """Collect the evidence of a deployed endpoint."""
    from shardwright.cli.status import owned_by
    from shardwright.deploy.evidence import evidence_of
    from shardwright.diagnose.evidence import Document
    from shardwright.drive.kube import connect

    with connect(kubeconfig, context) as cluster:
        space = namespace or cluster.default_namespace
        owned_by(cluster, name, space)  # an endpoint that is not there is the user's error
        found = evidence_of(cluster, name, space)
    return [Document(name=file, chunks=[found[file].encode()]) for file in sorted(found)]


def documents(path: str) -> list[Document]:
    """Open a file, every file below a directory, or stdin, to be read as a stream."""
    from shardwright.drive.evidence_files import evidence_documents

    found = evidence_documents(path)
    if not found:
        raise usage_error(
            "evidence-not-found", f"{path} is neither a file nor a folder with files",
            remedy="pass a log file, a directory of logs, or - for stdin",
        )  # fmt: skip
    return found
