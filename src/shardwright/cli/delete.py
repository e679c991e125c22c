"""`shardwright delete NAME`: remove an endpoint; its weights stay unless told otherwise."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.holding import holding, lock_of
from shardwright.cli.options import output_option, print_json
from shardwright.cli.status import owned_by
from shardwright.model.errors import ExitCode


@click.command()
@click.argument("name")
@namespace_option
@cluster_options
@click.option("--purge", is_flag=True, help="Delete its claims too: weights and compile cache.")
@output_option
def command(
    name: str, namespace: str | None, kubeconfig: Path | None, context: str | None,
    purge: bool, output: str,
) -> int:  # fmt: skip
    """Delete the endpoint NAME and all it owns; claims are kept unless --purge."""
    from shardwright.cli.rollout_output import Teller
    from shardwright.deploy.inventory import is_kept
    from shardwright.deploy.removal import remove
    from shardwright.drive.kube import connect

    with connect(kubeconfig, context) as cluster:
        space = namespace or cluster.default_namespace
        lock = lock_of(cluster, (name, space), "delete", Teller())
        if cluster.get(lock.ref) is None:  # a wrong name is said before anything is written
            owned_by(cluster, name, space, with_claims_alone=True)
        with holding(lock) as held:
            inventory = owned_by(held, name, space, with_claims_alone=True)
            gone = remove(held, inventory, purge=purge)
        kept = [each for each in inventory.owned if is_kept(each) and not purge]
    if output == "json":
        body = {"deleted": [str(each) for each in gone], "kept": [str(each) for each in kept]}
        print_json("deletion", body)
        return ExitCode.DONE
    for each in gone:
        click.echo(f"deleted {each}")
    for each in kept:
        click.echo(f"kept    {each} (delete it with --purge)")
    return ExitCode.DONE
