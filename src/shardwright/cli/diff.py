"""`shardwright diff`: what a deployment would change in the cluster."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.cluster import change_json, change_line, cluster_options
from shardwright.cli.options import output_option, print_json, spec_argument
from shardwright.model.errors import ExitCode


@click.command()
@spec_argument
@cluster_options
@output_option
def command(spec: Path, kubeconfig: Path | None, context: str | None, output: str) -> int:
    """Compare SPEC.yaml with the cluster. Exit code 1 if something would change."""
    from shardwright.cli.render import launch_plan
    from shardwright.deploy.changes import Verb
    from shardwright.deploy.dry_run import planned_changes
    from shardwright.deploy.removal import find_inventory
    from shardwright.deploy.rotation import marked
    from shardwright.deploy.slot_objects import slot_objects
    from shardwright.deploy.slots import Slot
    from shardwright.deploy.target import target_of
    from shardwright.drive.kube import connect

    plan = launch_plan(spec)
    with connect(kubeconfig, context) as cluster:
        record = find_inventory(cluster, plan.name, plan.namespace)
        rendered = slot_objects(plan, Slot.OWN if record is None else record.filled_slot)
        objects = marked(cluster, rendered)
        changes = planned_changes(cluster, target_of(plan), objects)
    moving = [each for each in changes if each.verb is not Verb.KEEP]
    if output == "json":
        print_json("diff", {"changes": [change_json(each) for each in changes]})
    else:
        for each in moving:
            click.echo(change_line(each))
            for field in each.fields:
                click.echo(f"          {field.path}: {field.old!r} -> {field.new!r}")
    return ExitCode.VERDICT_NO if moving else ExitCode.DONE
