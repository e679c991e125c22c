"""`shardwright artifacts`: everything a site without a network has to mirror first."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.options import output_option, print_json, spec_argument
from shardwright.cli.render import launch_plan
from shardwright.model.errors import ExitCode


@click.command()
@spec_argument
@output_option
def command(spec: Path, output: str) -> int:
    """List the images and model files that SPEC.yaml needs."""
    from shardwright.model.plain import plain
    from shardwright.render.artifacts import artifacts

    needed = artifacts(launch_plan(spec))
    if output == "json":
        print_json("artifacts", plain(needed))
        return ExitCode.DONE
    for image in needed.images:
        click.echo(f"image  {image}")
    for model in needed.models:
        click.echo(f"model  {model}")
    for controller in needed.controllers:
        click.echo(f"needs  {controller}")
    return ExitCode.DONE
