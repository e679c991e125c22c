"""`shardwright doctor`: say what happened, first cause first, and what to change."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.options import output_option, print_json, read_text, terminal_width
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardwright.deploy.evidence import Gathered
    from shardwright.diagnose.evidence import Document, Hit
    from shardwright.diagnose.planned import Planned
    from shardwright.spec.load import Loaded


@click.command(name="doctor")
@click.argument("name", required=False)
@click.option(
    "--evidence",
    "paths",
    multiple=True,
    metavar="DIR|FILE|-",
    help="Logs, kubectl output, manifests, nvidia-smi output; - is stdin.",
)
@click.option(
    "--spec",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SPEC.yaml",
    help="What was planned: then NCCL's transport is held against its fabric and GPUs.",
)
@namespace_option
@cluster_options
@output_option
def command(
    name: str | None, paths: tuple[str, ...], spec: Path | None, namespace: str | None,
    kubeconfig: Path | None, context: str | None, output: str,
) -> int:  # fmt: skip
    """Name the cause of a failure: of the endpoint NAME, or from files (--evidence).

    Exit code 0 if a cause was named, 4 if none is known.
    """
    from shardwright.diagnose.answer import as_text
    from shardwright.diagnose.doctor import as_json, examine
    from shardwright.drive.evidence_files import evidence_documents

    planned = planned_by(spec) if spec else None
    files = evidence_documents(paths)
    evidence, unread = [*files.documents], files.unread
    if name is not None:
        found = deployed(name, namespace, kubeconfig, context)
        evidence += as_documents(found.files)
        planned, unread = planned or found.planned, unread + found.unread
    elif not paths:
        raise usage_error(
            "no-evidence", "there is nothing to examine",
            remedy="name a deployed endpoint, or pass --evidence DIR|FILE|-",
        )  # fmt: skip
    report = examine(
        evidence, planned=planned, unread=unread, num_workers=min(8, os.cpu_count() or 1)
    )
    if output == "json":
        print_json("diagnosis", as_json(report))
    else:
        click.echo(as_text(report, terminal_width()))
    return ExitCode.INCONCLUSIVE if report.unknown else ExitCode.DONE


def deployed(
    name: str, namespace: str | None, kubeconfig: Path | None, context: str | None
) -> Gathered:
    """Collect the evidence of a deployed endpoint."""
    from shardwright.cli.status import owned_by
    from shardwright.deploy.evidence import evidence_of
    from shardwright.drive.kube import connect

    with connect(kubeconfig, context) as cluster:
        return evidence_of(cluster, owned_by(cluster, name, namespace or cluster.default_namespace))


def as_documents(files: Mapping[str, str]) -> list[Document]:
    """Hand texts to the doctor, in the order of their names."""
    from shardwright.diagnose.evidence import Document

    return [Document(name=file, chunks=[files[file].encode()]) for file in sorted(files)]


def planned_by(spec: Path) -> Planned:
    """Read what a spec counts on. Where its model cannot be looked up, the spec alone must do."""
    from shardwright.cli.resolve import resolve
    from shardwright.diagnose.planned import Planned
    from shardwright.launch.build import build_launch_plan
    from shardwright.launch.transport import planned_links
    from shardwright.planner.plan import make_plan
    from shardwright.spec.load import load

    loaded = load(read_text(spec), str(spec))
    request = loaded.request
    try:
        shape = resolve(spec).shape
        group = build_launch_plan(request, shape, make_plan(request, shape)).group
        num_members, per_member = len(group.members), group.members[0].gpus
    except ShardwrightError as error:
        click.echo(f"the plan cannot be made ({error.code}); the spec alone is used", err=True)
        wanted = (request.parallelism.tensor or 1) * (request.parallelism.pipeline or 1)
        per_member = request.cluster.gpus_per_node
        num_members = request.cluster.nodes or -(-wanted // per_member)
    links = planned_links(request, num_members, per_member)
    return Planned(links=links, lines=_spec_lines(loaded, spec))


def _spec_lines(loaded: Loaded, spec: Path) -> dict[str, Hit]:
    """Find the lines of the cluster's fields in the spec, to be shown as evidence."""
    from shardwright.diagnose.evidence import Hit, Source
    from shardwright.diagnose.lines import printable

    text = read_text(spec).splitlines()
    found: dict[str, Hit] = {}
    cluster = loaded.request.cluster
    stated = {"gpu": cluster.gpu, "fabric": cluster.fabric, "rdmaResource": cluster.rdma_resource}
    for field in (name for name, value in stated.items() if value is not None):
        line = loaded.place("cluster", field).line
        if line is not None:
            found[f"cluster.{field}"] = Hit(
                document=str(spec), block=sys.maxsize, source=Source.MANIFEST, line=line,
                text=printable(text[line - 1].strip()),
            )  # fmt: skip
    return found
