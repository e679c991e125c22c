"""`shardwright plan`: the layout, what it means, and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import output_option, print_json, spec_argument
from shardwright.cli.resolve import Resolved, resolve
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.model.launch import LaunchPlan
    from shardwright.model.plan import Plan


@click.command()
@spec_argument
@click.option(
    "--diagram",
    type=click.Choice(["text", "mermaid", "svg"]),
    help="Draw nodes, GPUs, stages and links instead.",
)
@click.option(
    "--plot",
    "picture",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write memory and the front of layouts to FILE.svg or FILE.html too.",
)
@click.option(
    "--usd-per-gpu-hour",
    type=click.FloatRange(min=0),
    help="Your own price; the lowest list price we know if left out.",
)
@click.option("--why", metavar="LAYOUT", help="Say why not these: tp=16, or tp=8,pp=1.")
@output_option
def command(
    spec: Path,
    diagram: str | None,
    picture: Path | None,
    usd_per_gpu_hour: float | None,
    why: str | None,
    output: str,
) -> int:
    """Decide how SPEC.yaml is laid out over GPUs."""
    from shardwright.launch.build import build_launch_plan
    from shardwright.model.plain import plain
    from shardwright.planner.changes import changes
    from shardwright.planner.explain import explain
    from shardwright.planner.plan import make_plan

    resolved = resolve(spec)
    if why:
        from shardwright.cli.why import explain_why

        return explain_why(resolved.request, resolved.shape, why, output)
    made = make_plan(resolved.request, resolved.shape)
    if usd_per_gpu_hour is not None:
        made = repriced(made, usd_per_gpu_hour)
    if picture:
        write_plot(resolved, made, picture)
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


def repriced(plan: Plan, usd_per_gpu_hour: float) -> Plan:
    """Return the plan at the user's own price."""
    from dataclasses import replace

    from shardwright.planner.cost import cost_of

    rate = plan.speed.output_tokens_per_s if plan.speed else None
    cost = cost_of(
        "", plan.layout.num_gpus, usd_per_gpu_hour=usd_per_gpu_hour, output_tokens_per_s=rate
    )
    return replace(plan, cost=cost)


def write_plot(resolved: Resolved, plan: Plan, file: Path) -> None:
    """Write the plan as a picture; the name's ending says which kind."""
    from shardwright.planner.explain import explain
    from shardwright.planner.plot import plot_html, plot_svg

    request = resolved.request
    title = f"{request.model.id} on {request.cluster.gpu}: {plan.layout}"
    kind = file.suffix.lower()
    if kind == ".svg":
        text = plot_svg(title, plan)
    elif kind in {".html", ".htm"}:
        text = plot_html(title, plan, explain(request, resolved.shape, plan))
    else:
        raise usage_error(
            "plot-kind",
            f"a plot is written as .svg or .html, not {kind or 'a file without ending'}",
            remedy=f"pass --plot {file.with_suffix('.svg')}",
        )
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise usage_error(
            "file-not-writable", f"{file} cannot be written: {error.strerror}",
            remedy="check the folder and its permissions",
        ) from error  # fmt: skip
    click.echo(f"plot written to {file}", err=True)


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
