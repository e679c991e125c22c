"""`shardwright sizing`: how many GPUs common models need, and what is left for the KV cache."""

from __future__ import annotations

import click

from shardwright.cli.options import output_option, print_json, terminal_width
from shardwright.model.errors import ExitCode


@click.command()
@click.option("--model", "models", multiple=True, help="Model id or config.json; repeatable.")
@click.option(
    "--gpu", "gpus", multiple=True, help="GPU; repeatable.  [default: H100, H200 and B200]"
)
@click.option("--weights", multiple=True, type=click.Choice(["bf16", "fp8", "nvfp4"]),
              help="Weights to size for; repeatable.  [default: all the GPU can]")  # fmt: skip
@click.option("--max-model-len", default=8192, show_default=True, type=click.IntRange(min=1))
@click.option("--gpus-per-node", default=8, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--utilization", type=click.FloatRange(0.1, 1.0), help="The engine's own if left out."
)
@click.option("--engine", default="vllm", show_default=True)
@click.option("--engine-version", help="The newest we know if left out.")
@output_option
def command(
    models: tuple[str, ...],
    gpus: tuple[str, ...],
    weights: tuple[str, ...],
    max_model_len: int,
    gpus_per_node: int,
    utilization: float | None,
    engine: str,
    engine_version: str | None,
    output: str,
) -> int:
    """Print the fewest GPUs that serve each model, and why fewer do not."""
    from shardwright.cli.resolve import model_shape
    from shardwright.facts.gpus import gpu
    from shardwright.model.plain import plain
    from shardwright.planner.sizing import GUIDE, SCHEMES, Service, guide, render

    service = Service(
        max_model_len=max_model_len, engine=engine, version=engine_version,
        utilization=utilization, gpus_per_node=gpus_per_node,
    )  # fmt: skip
    rows = list(
        guide(
            [model_shape(name) for name in models or GUIDE],
            [gpu(name) for name in gpus or ("H100", "H200", "B200")],
            weights or SCHEMES,
            service,
        )
    )
    if output == "json":
        print_json("sizing", {"rows": plain(tuple(rows))})
    else:
        click.echo(render(rows, terminal_width()), nl=False)
        click.echo(CAVEATS, err=True)
    return ExitCode.DONE


CAVEATS = """\
GiB are 2^30 bytes, a GPU's total is what its driver reports, and the engine takes a share of that:
- weights that are smaller than the card's name may still not fit (70B in BF16 and one H200);
- 405B in BF16 fits eight H200 with TP=8 PP=1, and not eight H100-80;
- the least GPUs hold one request of full length; `requests` says how many, a load needs more;
- rows are memory alone: whether a latency is kept, `shardwright plan` says;
- accuracy is a published, dated figure of that very model, else unknown."""
