"""`shardwright render`: the manifests of a spec, on stdout, in a file or in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import json_text, output_option, read_text, spec_argument
from shardwright.cli.resolve import resolve
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error

if TYPE_CHECKING:
    from shardwright.cli.resolve import Resolved
    from shardwright.model.launch import LaunchPlan
    from shardwright.model.plan import Plan


@click.command()
@spec_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this FILE.yaml or FILE.json, or into this folder with a kustomization.",
)
@click.option("--helm", is_flag=True, help="Write a Helm chart into the folder of --out.")
@click.option(
    "--diff",
    "against",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Compare with the manifests in this folder; exit 1 if they differ.",
)
@click.option("--explain", is_flag=True, help="Say why above each field that is not a default.")
@output_option
def command(
    spec: Path, out: Path | None, helm: bool, against: Path | None, explain: bool, output: str
) -> int:
    """Render SPEC.yaml to Kubernetes manifests.

    They are written even where the plan does not fit; exit code 1 then, and stderr says why.
    """
    from shardwright.render.emit import emit
    from shardwright.render.folder import manifest_folder
    from shardwright.render.objects import explained_objects, kubernetes_objects

    resolved, made, launch = planned(spec)
    code = tell(resolved, made, launch)
    if against is not None:
        files = manifest_folder(explained_objects(launch), explain=explain)
        return max(code, differences(files, against))
    if helm:
        write_chart(launch, spec, out)
    elif output == "json" or (out is not None and out.suffix == ".json"):
        listed = {"apiVersion": "v1", "kind": "List", "items": list(kubernetes_objects(launch))}
        write_list(json_text(listed), out)
    elif out is None:
        click.echo(emit(explained_objects(launch), explain=explain), nl=False)
    elif out.suffix in {".yaml", ".yml"}:
        write_files(out.parent, {out.name: emit(explained_objects(launch), explain=explain)})
    else:
        write_files(out, manifest_folder(explained_objects(launch), explain=explain))
    return code


def write_list(text: str, out: Path | None) -> None:
    """Write a JSON List to stdout or to its file."""
    if out is None:
        click.echo(text, nl=False)
    elif out.suffix == ".json":
        write_files(out.parent, {out.name: text})
    else:
        raise usage_error(
            "list-needs-file",
            f"a JSON List is one file, and {out} does not end in .json",
            remedy=f"pass --out {out.with_suffix('.json')}, or leave out -o json",
        )


def tell(resolved: Resolved, made: Plan, launch: LaunchPlan) -> int:
    """Say on stderr what is wrong with the plan and what to care for; 1 if it does not fit."""
    from shardwright.cli.cluster import finding_lines
    from shardwright.model.finding import Severity
    from shardwright.planner.changes import unfit

    misfit = unfit(resolved.request, resolved.shape, made)
    warnings = [each for each in made.findings if each.severity is Severity.WARNING]
    for finding in (*((misfit,) if misfit else ()), *warnings):
        click.echo("\n".join(finding_lines(finding)), err=True)
    for note in notes(launch):
        click.echo(f"note: {note}", err=True)
    return ExitCode.VERDICT_NO if misfit else ExitCode.DONE


def notes(launch: LaunchPlan) -> list[str]:
    """Say what our own lint holds against them, and what applying them by hand must care for."""
    from shardwright.lint.objects import from_values
    from shardwright.lint.run import lint_objects
    from shardwright.model.finding import Severity
    from shardwright.render.objects import kubernetes_objects

    out = [
        f"job {task.name} needs {task.gpus} GPUs: apply it alone and wait for it, or the pods that"
        " wait for its result hold them"
        for task in launch.tasks
        if task.gpus and task.blocks
    ]
    found = lint_objects(from_values(list(kubernetes_objects(launch))))
    out += [
        f"{each.object}: {each.what}; {each.remedy}"
        for each in found
        if each.severity is Severity.ERROR
    ]
    return out


def differences(files: dict[str, str], folder: Path) -> int:
    """Print how rendered files differ from those of a folder; 1 if they do."""
    import difflib

    present = {path.name: read_text(path) for path in sorted(folder.glob("*.yaml"))}
    changed = False
    for name in sorted(files.keys() | present.keys()):
        old, new = present.get(name, ""), files.get(name, "")
        lines = difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), name, name
        )
        for line in lines:
            changed = True
            click.echo(line, nl=False)
    return ExitCode.VERDICT_NO if changed else ExitCode.DONE


def write_chart(launch: LaunchPlan, spec: Path, out: Path | None) -> None:
    """Write a Helm chart into a folder."""
    from shardwright.render.helm import helm_chart

    if out is None:
        raise usage_error(
            "chart-needs-folder", "a chart is several files", remedy="name a folder with --out"
        )
    value = resolve(spec).loaded.source.value
    user_spec = value.get("spec", {}) if isinstance(value, dict) else {}
    write_files(out, helm_chart(launch, user_spec))


def launch_plan(spec: Path) -> LaunchPlan:
    """Read a spec and plan its launch."""
    return planned(spec)[2]


def planned(spec: Path) -> tuple[Resolved, Plan, LaunchPlan]:
    """Read a spec, plan its layout, and plan its launch."""
    from shardwright.launch.build import build_launch_plan
    from shardwright.planner.plan import make_plan

    resolved = resolve(spec)
    made = make_plan(resolved.request, resolved.shape)
    return resolved, made, build_launch_plan(resolved.request, resolved.shape, made)


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
