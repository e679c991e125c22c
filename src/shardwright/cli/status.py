"""`shardwright status NAME`: how an endpoint is now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shardwright.cli.cluster import cluster_options, namespace_option, pod_json, pod_line
from shardwright.cli.options import output_option, print_json
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.deploy.inventory import Inventory
    from shardwright.deploy.status import EndpointStatus
    from shardwright.model.cluster import Cluster
    from shardwright.model.running import Clock

WATCH_S = 2.0


@click.command()
@click.argument("name")
@namespace_option
@cluster_options
@click.option("-w", "--watch", is_flag=True, help="Look again every 2 s until it is ready.")
@output_option
def command(
    name: str, namespace: str | None, kubeconfig: Path | None, context: str | None,
    watch: bool, output: str,
) -> int:  # fmt: skip
    """Say how the endpoint NAME is. Exit code 0 if every pod is ready, 1 if not."""
    from shardwright.drive.clock import SystemClock
    from shardwright.drive.kube import connect

    with connect(kubeconfig, context) as cluster:
        space = namespace or cluster.default_namespace
        looks = looked_at(cluster, SystemClock(), name, space)
        status = next(looks)
        while watch and not status.is_ready:
            click.echo(_text(status), err=True)
            status = next(looks)
    if output == "json":
        print_json("endpoint", status_json(status))
    else:
        click.echo(_text(status))
    return ExitCode.DONE if status.is_ready else ExitCode.VERDICT_NO


def looked_at(
    cluster: Cluster, clock: Clock, name: str, namespace: str
) -> Iterator[EndpointStatus]:
    """Look again and again. Raises ShardwrightError once there is no such endpoint (any more)."""
    from shardwright.deploy.status import endpoint_status

    while True:
        yield endpoint_status(cluster, owned_by(cluster, name, namespace))
        clock.sleep(WATCH_S)


def owned_by(
    cluster: Cluster, name: str, namespace: str, *, with_claims_alone: bool = False
) -> Inventory:
    """Return what the endpoint owns. Raises ShardwrightError if there is no such endpoint.

    with_claims_alone: claims that a deleted endpoint left count as one.
    """
    from shardwright.deploy.inventory import is_kept
    from shardwright.deploy.removal import find_inventory

    inventory = find_inventory(cluster, name, namespace)
    left = inventory.owned if inventory and all(map(is_kept, inventory.owned)) else ()
    if inventory is None or (left and not with_claims_alone):
        kept = f"; it was deleted, and {', '.join(map(str, left))} kept" if left else ""
        raise usage_error(
            "endpoint-not-found",
            f"there is no endpoint {name} in namespace {namespace}{kept}",
            remedy="shardwright list shows all; pass -n NAMESPACE or --context",
        )
    return inventory


def status_json(status: EndpointStatus) -> dict[str, Any]:
    """Shape a status for -o json."""
    return {
        "name": status.name,
        "namespace": status.namespace,
        "revision": status.revision,
        "pending": status.pending,
        "ready": status.is_ready,
        "verified": json.loads(status.verified) if status.verified else None,
        "jobs": [{"name": each.name, "status": each.words} for each in status.jobs],
        "pods": [pod_json(each) for each in status.pods],
    }


def _text(status: EndpointStatus) -> str:
    words = "ready" if status.is_ready else "deploying" if status.pending else "not ready"
    head = f"{status.namespace}/{status.name}  revision {status.revision}  {words}"
    head += f"  {status.num_ready} of {status.num_wanted} pods ready"
    jobs = [f"  job {each.name}  {each.words}" for each in status.jobs]
    return "\n".join([head, *jobs, *(f"  {pod_line(each)}" for each in status.pods)])
