"""`shardwright logs NAME --rank 3`: what one rank wrote, wherever its pod is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.status import owned_by
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.deploy.inventory import Inventory
    from shardwright.deploy.members import Seated
    from shardwright.model.cluster import Cluster


@click.command(name="logs")
@click.argument("name")
@namespace_option
@cluster_options
@click.option("--rank", type=click.IntRange(min=0), help="Global rank within its group.")
@click.option("--member", type=click.IntRange(min=0), help="Member (pod) of the group; 0 leads.")
@click.option("--group", type=click.IntRange(min=0), default=0, show_default=True,
              help="Which group, where there are several replicas.")  # fmt: skip
@click.option("-p", "--previous", is_flag=True, help="Of the container's run before this one.")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("--tail", default=1000, show_default=True, metavar="LINES", help="Last lines only.")
def command(
    name: str, namespace: str | None, kubeconfig: Path | None, context: str | None,
    rank: int | None, member: int | None, group: int, previous: bool, follow: bool, tail: int,
) -> int:  # fmt: skip
    """Print the log of the endpoint NAME: of one rank, of one member, or of its leader."""
    from shardwright.deploy.logs import chosen_pod, lines_of_rank
    from shardwright.drive.kube import connect

    if rank is not None and member is not None:
        raise usage_error(
            "rank-and-member", "--rank and --member exclude each other",
            remedy="a rank's member is found by itself: leave --member out",
        )  # fmt: skip
    if follow and previous:
        raise usage_error(
            "previous-has-ended", "--previous cannot be followed: that container has ended",
            remedy="leave --follow out",
        )  # fmt: skip
    with connect(kubeconfig, context) as cluster:
        record = owned_by(cluster, name, namespace or cluster.default_namespace)
        seat = chosen_pod(cluster, record, group=group, rank=rank, member=member)
        lines = _lines(cluster, record, seat, tail, follow=follow, previous=previous)
        shown = 0
        for line in lines_of_rank(lines, record, seat.member, rank):
            click.echo(line)
            shown += 1
    if not shown:
        which = "its run before" if previous else "it"
        of = f" of rank {rank}" if rank is not None else ""
        click.echo(f"{seat.name}: no lines{of} in {which}", err=True)
    return ExitCode.DONE


def _lines(
    cluster: Cluster, record: Inventory, seat: Seated, tail: int, *, follow: bool, previous: bool
) -> Iterator[str]:
    from shardwright.model.cluster import reference

    container = record.engine or str(seat.pod["spec"]["containers"][0]["name"])
    ref = reference(seat.pod)
    if follow:
        return cluster.follow(ref, container, tail_lines=tail)
    text = cluster.logs(ref, container, previous=previous, tail_lines=tail)
    return iter(text.splitlines())
