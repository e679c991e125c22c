"""`shardwright plan`: the layout, what it means, and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import output_option, print_json, spec_argument
from shardwright.cli.resolve import Resolved, resolve
from shardwright.model.errors import ExitCode

if TYPE_CHECKING:
    from shardwright.model.launch import LaunchPlan


@click.command()
@spec_argument
@click.option(
    "--diagram",
    type=click.Choice(["text", "mermaid", "svg"]),
    help="Draw nodes, GPUs, stages and links instead.",
)
@click.option("--why", metavar="LAYOUT", help="Say why not these: tp=16, or tp=8,pp=1.")
@output_option
def command(spec: Path, diagram: str | None, why: str | None, output: str) -> int:
    """Decide how SPEC.yaml is laid out over GPUs."""
    from shardwright.launch.build import build_launch_plan
    from shardwright.model.plain import plain
    from shardwright.plan.changes import changes
    from shardwright.plan.explain import explain
    from shardwright.plan.plan import make_plan

    resolved = resolve(spec)
    if why:
        from shardwright.cli.why import explain_why

        return explain_why(resolved.request, resolved.shape, why, output)
    made = make_plan(resolved.request, resolved.shape)
    launch = build_launch_plan(resolved.request, resolved.shape, made)
    if diagram:
        click.echo(draw(resolved, launch, diagram), nl=False)
    elif output == "json":
        print_json({"apiVersion": "shardwright.dev/plan/v1alpha1", "plan": plain(made)})
    else:
        sentences = changes(resolved.request, resolved.shape, made)
        click.echo(explain(resolved.request, resolved.shape, made, sentences), nl=False)
    missed = any(f.code == "objective-missed" for f in made.findings)
    return ExitCode.DONE if made.fits and not missed else ExitCode.VERDICT_NO


def draw(resolved: Resolved, launch: LaunchPlan, form: str) -> str:
    """Draw a launch plan with the links of its GPUs and fabric named."""
    from shardwright.facts.gpus import gpu
    from shardwright.launch.diagram import draw_mermaid, draw_text
    from shardwright.launch.diagram_svg import draw_svg
    from shardwright.launch.topology import topology

    cluster = resolved.request.cluster
    scaleup = gpu(cluster.gpu).scaleup
    shown = topology(
        launch,
        in_node=scaleup or "PCIe",
        between_nodes=str(cluster.fabric) if cluster.fabric else "the network between nodes",
    )
    return {"text": draw_text, "mermaid": draw_mermaid, "svg": draw_svg}[form](shown)
