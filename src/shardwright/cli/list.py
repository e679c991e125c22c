"""`shardwright list`: every endpoint of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.options import output_option, print_json
from shardwright.cli.status import status_json
from shardwright.model.errors import ExitCode, ShardwrightError

if TYPE_CHECKING:
    from shardwright.deploy.status import EndpointStatus, Listing


@click.command(name="list")
@namespace_option
@cluster_options
@output_option
def command(
    namespace: str | None, kubeconfig: Path | None, context: str | None, output: str
) -> int:
    """List the endpoints of every namespace, or of one. Exit code 4 if a record is not readable."""
    from shardwright.deploy.status import all_endpoints
    from shardwright.drive.kube import connect

    with connect(kubeconfig, context) as cluster:
        try:
            found = all_endpoints(cluster, namespace)
        except ShardwrightError as error:
            if namespace or error.code != "cluster-forbidden":
                raise
            raise ShardwrightError(
                code=error.code, what=error.what, cause="a role in some namespaces alone",
                remedy=f"shardwright list -n {cluster.default_namespace}, or another namespace",
            ) from error  # fmt: skip
    if output == "json":
        print_json("endpoints", _json(found))
    else:
        _print(found)
    # what there is to say is not all there is
    return ExitCode.INCONCLUSIVE if found.unreadable else ExitCode.DONE


def _json(found: Listing) -> dict[str, Any]:
    return {
        "endpoints": [status_json(each) for each in found.endpoints],
        "unreadable": [
            {
                "name": each.name,
                "namespace": each.namespace,
                "code": each.error.code,
                "what": each.error.what,
                "cause": each.error.cause,
                "remedy": each.error.remedy,
            }
            for each in found.unreadable
        ],
    }


def _print(found: Listing) -> None:
    lines = [(f"{each.namespace}/{each.name}", _words(each)) for each in found.endpoints]
    lines += [(f"{each.namespace}/{each.name}", "record not readable") for each in found.unreadable]
    width = max((len(name) for name, _ in lines), default=0)
    for name, words in lines:
        click.echo(f"{name:<{width}}  {words}")
    for each in found.unreadable:
        click.echo(each.error.render(), err=True)


def _words(status: EndpointStatus) -> str:
    words = "ready" if status.is_ready else "deploying" if status.pending else "not ready"
    return f"revision {status.revision}  {status.num_ready}/{status.num_wanted} pods  {words}"
