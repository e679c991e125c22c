"""`shardwright plan`: the layout, what it means, and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import (
    calibration_option,
    not_writable,
    output_option,
    print_json,
    spec_argument,
    terminal_width,
)
from shardwright.cli.resolve import Resolved, resolve
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.model.launch import LaunchPlan
    from shardwright.model.plan import Plan
    from shardwright.model.request import Request


@click.command()
@spec_argument
@click.option(
    "--gpu",
    "gpus",
    multiple=True,
    metavar="GPU,..",
    help="GPU types to choose from instead of the spec's own.",
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="ENGINE,..",
    help="Engines to choose from: vllm, sglang, tensorrt-llm, triton.",
)
@click.option(
    "--quantization",
    "quantizations",
    multiple=True,
    metavar="NAME,..",
    help="Weights to choose from: none (as published), fp8, nvfp4, awq, gptq, int8, mxfp4.",
)
@click.option(
    "--objective",
    type=click.Choice(["cost", "throughput"]),
    default="cost",
    show_default=True,
    help="Serve the asked load for least money, or choose the load too: most tokens for "
    "the money within spec.slo.",
)
@click.option(
    "--why",
    metavar="LAYOUT",
    help="Say why not these: tp=16, or tp=8,pp=1, or gpu=A100-80GB,quantization=fp8.",
)
@click.option(
    "--plot",
    "picture",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write memory and the front of layouts to FILE.png, .svg or .html too.",
)
@click.option(
    "--diagram",
    type=click.Choice(["text", "mermaid", "svg"]),
    help="Draw nodes, GPUs, stages and links instead.",
)
@click.option(
    "--usd-per-gpu-hour",
    "per_hour",
    multiple=True,
    metavar="[GPU=]USD",
    help="Your own price; the lowest list price we know if left out.",
)
@click.option(
    "--on-premise",
    "is_owned",
    is_flag=True,
    help="Count owned GPUs: dated street prices written off, and power.",
)
@click.option(
    "--usd-per-gpu",
    "bought",
    multiple=True,
    metavar="[GPU=]USD",
    help="What you pay for one GPU with its share of machine and network.",
)
@click.option("--years", type=click.FloatRange(min=0.1), help="Years an owned GPU is written off.")
@click.option("--usd-per-kwh", type=click.FloatRange(min=0), help="Your price of power.")
@calibration_option
@output_option
def command(
    spec: Path,
    gpus: tuple[str, ...],
    engines: tuple[str, ...],
    quantizations: tuple[str, ...],
    objective: str,
    why: str | None,
    picture: Path | None,
    diagram: str | None,
    per_hour: tuple[str, ...],
    is_owned: bool,
    bought: tuple[str, ...],
    years: float | None,
    usd_per_kwh: float | None,
    with_local_fits: bool,
    output: str,
) -> int:
    """Decide how SPEC.yaml is laid out over GPUs.

    The spec names one GPU, engine and quantization, because it is what gets deployed. With lists
    in --gpu, --engine and --quantization the plan chooses among them, and says what to write.
    """
    from shardwright.cli.plan_question import prices_of, question_of
    from shardwright.model.plain import plain
    from shardwright.planner.plan import choose

    resolved = resolve(spec, with_local_fits=with_local_fits)
    prices = prices_of(per_hour, bought, is_owned, years, usd_per_kwh)
    question = question_of(gpus, engines, quantizations, objective, prices)
    if why:
        from shardwright.cli.why import explain_why

        return explain_why(resolved.request, resolved.shape, why, question, output)
    chosen = choose(resolved.request, resolved.shape, question)
    made, answered = chosen.plan, resolved.answered_as(chosen.request)
    if picture:
        write_plot(answered, made, picture)
    launch = launched(answered, made)
    if diagram:
        click.echo(draw(answered, launch, diagram), nl=False)
    elif output == "json":
        print_json("plan", {"plan": plain(made)})
    else:
        print_plan(answered, made, resolved.request)
    missed = any(f.code == "objective-missed" for f in made.findings)
    return ExitCode.DONE if made.fits and not missed else ExitCode.VERDICT_NO


def launched(resolved: Resolved, plan: Plan) -> LaunchPlan:
    """Return the launch plan; raises ShardwrightError where the engine cannot run it."""
    from shardwright.launch.build import build_launch_plan

    return build_launch_plan(resolved.request, resolved.shape, plan)


def print_plan(resolved: Resolved, plan: Plan, asked: Request) -> None:
    """Print the plan in words, and what to write into the spec where something was chosen."""
    from shardwright.planner.changes import changes
    from shardwright.planner.explain import explain, to_write

    sentences = changes(resolved.request, resolved.shape, plan)
    width = terminal_width()
    said = explain(resolved.request, resolved.shape, plan, sentences, width=width)
    click.echo(said, nl=False)
    lines = to_write(asked, resolved.request, plan)
    if lines:
        click.echo("\nTo deploy this, write into the spec\n" + "\n".join(lines))


def write_plot(resolved: Resolved, plan: Plan, file: Path) -> None:
    """Write the plan as a picture; the name's ending says which kind."""
    from shardwright.planner.explain import explain
    from shardwright.planner.picture import to_svg
    from shardwright.planner.plot import picture_of, plot_html
    from shardwright.planner.raster import to_png

    request = resolved.request
    title = f"{request.model.id} on {request.cluster.gpu}: {plan.layout}"
    kind = file.suffix.lower()
    if kind == ".svg":
        made = to_svg(picture_of(title, plan)).encode()
    elif kind in {".html", ".htm"}:
        made = plot_html(title, plan, explain(request, resolved.shape, plan)).encode()
    elif kind == ".png":
        made = to_png(picture_of(title, plan))
    else:
        raise usage_error(
            "plot-kind",
            f"a plot is written as .png, .svg or .html, not {kind or 'a file without ending'}",
            remedy=f"pass --plot {file.with_suffix('.png')}",
        )
    try:
        file.write_bytes(made)
    except OSError as error:
        raise not_writable(file, str(error.strerror)) from error
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
