"""`shardwright plan --why tp=16`: the reason of every layout that was not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shardwright.cli.options import print_json
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.model.layout import Layout
    from shardwright.model.request import Request
    from shardwright.model.shape import ModelShape

NAMES = {
    "tp": "tensor_parallel",
    "pp": "pipeline_parallel",
    "ep": "expert_parallel",
    "dp": "data_parallel",
    "replicas": "replicas",
}


def explain_why(request: Request, shape: ModelShape, asked: str, output: str) -> int:
    """Print the layouts that match and their reasons."""
    from shardwright.model.plain import plain
    from shardwright.planner.plan import alternatives

    wanted = parse_layout(asked)
    found = [r for r in alternatives(request, shape) if matches(r.layout, wanted)]
    if output == "json":
        print_json({"apiVersion": "shardwright.dev/why/v1alpha1", "layouts": plain(found)})
        return ExitCode.DONE
    for r in found:
        click.echo(f"{r.layout}: {r.reason} ({r.code})")
    if not found:
        click.echo(f"{asked}: not looked at: more GPUs than the cluster has, or no such division")
    return ExitCode.DONE


def parse_layout(text: str) -> dict[str, int]:
    """Read `tp=16,pp=1`.

    >>> parse_layout("tp=16,pp=1")
    {'tensor_parallel': 16, 'pipeline_parallel': 1}
    """
    wanted: dict[str, int] = {}
    for part in text.replace(" ", ",").split(","):
        name, _, value = part.partition("=")
        if name.lower() not in NAMES or not value.isdigit() or int(value) < 1:
            raise usage_error(
                "layout-unreadable",
                f"{part!r} is no part of a layout",
                remedy=f"write for example tp=16 or tp=8,pp=2; known: {', '.join(NAMES)}",
            )
        wanted[NAMES[name.lower()]] = int(value)
    return wanted


def matches(layout: Layout, wanted: dict[str, int]) -> bool:
    """Return whether a layout has every degree asked for."""
    return all(getattr(layout, name) == value for name, value in wanted.items())
