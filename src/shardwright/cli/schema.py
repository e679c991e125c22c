"""`shardwright schema`: the JSON Schema of the spec file, or of the plan as JSON."""

from __future__ import annotations

import click

from shardwright.cli.options import json_text


@click.command()
@click.argument("what", type=click.Choice(["spec", "plan"]), default="spec")
def command(what: str) -> None:
    """Print the JSON Schema of the spec file, for editors' completion and checks; `schema plan`
    prints that of `plan -o json`.
    """
    if what == "plan":
        from shardwright.planner.plan_schema import plan_schema

        return click.echo(json_text(plan_schema()), nl=False)
    from shardwright.spec.schema import json_schema

    return click.echo(json_text(json_schema()), nl=False)
