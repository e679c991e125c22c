"""`shardwright schema`: the JSON Schema of the spec file."""

from __future__ import annotations

import click

from shardwright.cli.options import print_json


@click.command()
def command() -> None:
    """Print the JSON Schema of the spec file, for editors' completion and checks."""
    from shardwright.spec.schema import json_schema

    print_json(json_schema())
