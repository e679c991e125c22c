"""`shardwright list`: every endpoint of a cluster."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.options import output_option, print_json
from shardwright.cli.status import status_json
from shardwright.model.errors import ExitCode, ShardwrightError


@click.command(name="list")
@namespace_option
@cluster_options
@output_option
def command(
    namespace: str | None, kubeconfig: Path | None, context: str | None, output: str
) -> int:
    """List the endpoints of every namespace, or of one."""
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
        print_json("endpoints", {"endpoints": [status_json(each) for each in found]})
        return ExitCode.DONE
    width = max((len(f"{each.namespace}/{each.name}") for each in found), default=0)
    for each in found:
        words = "ready" if each.is_ready else "deploying" if each.pending else "not ready"
        click.echo(
            f"{f'{each.namespace}/{each.name}':<{width}}  revision {each.revision}  "
            f"{each.num_ready}/{each.num_wanted} pods  {words}"
        )
    return ExitCode.DONE
