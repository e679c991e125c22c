"""`shardwright render`: the manifests of a spec, on stdout, in a file or in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import output_option, print_json, spec_argument
from shardwright.cli.resolve import resolve
from shardwright.model.errors import ExitCode, ShardwrightError

if TYPE_CHECKING:
    from shardwright.model.launch import LaunchPlan


@click.command()
@spec_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this FILE.yaml, or into this folder with a kustomization.",
)
@click.option("--explain", is_flag=True, help="Say why above each field that is not a default.")
@output_option
def command(spec: Path, out: Path | None, explain: bool, output: str) -> int:
    """Render SPEC.yaml to Kubernetes manifests."""
    from shardwright.render.emit import emit
    from shardwright.render.folder import manifest_folder
    from shardwright.render.objects import explained_objects, kubernetes_objects

    launch = launch_plan(spec)
    if output == "json":
        print_json({"apiVersion": "v1", "kind": "List", "items": list(kubernetes_objects(launch))})
    elif out is None:
        click.echo(emit(explained_objects(launch), explain=explain), nl=False)
    elif out.suffix in {".yaml", ".yml"}:
        write_files(out.parent, {out.name: emit(explained_objects(launch), explain=explain)})
    else:
        write_files(out, manifest_folder(explained_objects(launch), explain=explain))
    return ExitCode.DONE


def launch_plan(spec: Path) -> LaunchPlan:
    """Read a spec and plan its launch."""
    from shardwright.launch.build import build_launch_plan
    from shardwright.plan.plan import make_plan

    resolved = resolve(spec)
    made = make_plan(resolved.request, resolved.shape)
    return build_launch_plan(resolved.request, resolved.shape, made)


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write files into a folder, making it if need be; names are told on stderr."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ShardwrightError(
            code="file-not-writable",
            what=f"{error.filename} cannot be written: {error.strerror}",
            remedy="name a folder you may write to with --out",
            exit_code=ExitCode.USAGE,
        ) from error
    click.echo(f"wrote {len(files)} file(s) to {folder}", err=True)
