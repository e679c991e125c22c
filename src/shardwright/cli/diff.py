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
    from shardwright.deploy.rollout import Target, planned_changes
    from shardwright.drive.kube import connect
    from shardwright.render.objects import kubernetes_objects

    plan = launch_plan(spec)
    target = Target(
        name=plan.name,
        namespace=plan.namespace,
        num_pods=plan.replicas * len(plan.group.members),
        budgets=plan.budgets,
    )
    with connect(kubeconfig, context) as cluster:
        changes = planned_changes(cluster, target, kubernetes_objects(plan))
    moving = [each for each in changes if each.verb is not Verb.KEEP]
    if output == "json":
        print_json([change_json(each) for each in changes])
    else:
        for each in moving:
            click.echo(change_line(each))
            for field in each.fields:
                click.echo(f"          {field.path}: {field.old!r} -> {field.new!r}")
    return ExitCode.VERDICT_NO if moving else ExitCode.DONE
