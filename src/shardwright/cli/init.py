"""`shardwright init`: a commented first spec file."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.options import write_text
from shardwright.model.errors import usage_error


@click.command()
@click.argument("file", default="spec.yaml", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--model", prompt="Model (Hugging Face id)", help="Hugging Face id of the model.")
@click.option("--gpu", prompt="GPU type", default="H100-SXM", help="Type, such as H200-SXM.")
@click.option("--gpus-per-node", prompt="GPUs per node", default=8, type=click.IntRange(1, 72))
@click.option("--nodes", prompt="Nodes", default=1, type=click.IntRange(1, 65536))
@click.option("--fabric", help="Network between nodes, such as infiniband-400g.")
@click.option("--concurrency", default=32, type=click.IntRange(1), help="Requests in flight.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def command(
    file: Path,
    model: str,
    gpu: str,
    gpus_per_node: int,
    nodes: int,
    fabric: str | None,
    concurrency: int,
    force: bool,
) -> None:
    """Write a commented first spec to FILE (spec.yaml); `-` writes to stdout."""
    from shardwright.facts.gpus import gpu as find_gpu
    from shardwright.spec.load import load
    from shardwright.spec.starter import Answers, starter

    find_gpu(gpu)  # raises for one that no plan could be made for
    answers = Answers(
        model=model,
        gpu=gpu,
        gpus_per_node=gpus_per_node,
        nodes=nodes,
        fabric=fabric,
        concurrency=concurrency,
    )
    text = starter(answers)
    load(text, "the answers")
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    if file.exists() and not force:
        raise usage_error(
            "file-exists", f"{file} exists already", remedy="name another file, or pass --force"
        )
    write_text(file, text)
    click.echo(f"wrote {file}; next: shardwright plan {file}", err=True)
