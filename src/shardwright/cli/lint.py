"""`shardwright lint`: what will fail in anybody's manifests, before a GPU is paid for."""

from __future__ import annotations

import codecs
import dataclasses
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.lint.finding import LintFinding
    from shardwright.lint.objects import KubeObject, Loaded


SPEC = "DistributedInference"


@click.command()
@click.argument("manifests", nargs=-1, metavar="[FILE|DIR|-]...")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings as well.")
@click.option("--fix", "fixes", is_flag=True, help="Write the repairs that are safe.")
@click.option(
    "--cluster",
    "is_live",
    is_flag=True,
    help="Read a namespace's live objects beside the files, or alone.",
)
@namespace_option
@cluster_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How findings are printed.",
)
def command(
    manifests: tuple[str, ...],
    strict: bool,
    fixes: bool,
    is_live: bool,
    namespace: str | None,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Find what will fail in Kubernetes manifests of LLM servers."""
    from shardwright.lint.report import WRITERS
    from shardwright.lint.run import lint
    from shardwright.lint.table import RULES
    from shardwright.model.finding import Severity

    if not manifests and not is_live:
        raise usage_error(
            "no-manifests", "nothing to lint", remedy="name files or folders, - or --cluster"
        )
    gc.disable()  # the values read live until exit; collecting among them doubles the time
    live = _Live(kubeconfig, context, namespace) if is_live else None
    loaded, beside = _load(manifests, live)
    findings = lint(loaded, beside=beside)
    if fixes:
        broken = {file for file, _ in loaded.broken}
        texts = {name: text for name, text in loaded.texts.items() if name not in broken}
        if _write_fixes(findings, texts):
            loaded, beside = _load(manifests, live)
            findings = lint(loaded, beside=beside)
    sys.stdout.write(WRITERS[output](findings, RULES))
    if loaded.broken:
        return ExitCode.USAGE
    grave = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    failed = any(finding.severity in grave for finding in findings)
    return ExitCode.VERDICT_NO if failed else ExitCode.DONE


class _Live:
    """The objects of a namespace, read once."""

    def __init__(self, kubeconfig: Path | None, context: str | None, namespace: str | None) -> None:
        from shardwright.drive.kube import connect
        from shardwright.lint.live import live_objects

        with connect(kubeconfig, context) as cluster:
            self.namespace = namespace or cluster.default_namespace
            self.objects = live_objects(cluster, self.namespace)


def _load(manifests: tuple[str, ...], live: _Live | None) -> tuple[Loaded, tuple[KubeObject, ...]]:
    """Read the files, and what is to be seen beside them."""
    from shardwright.cli.manifests import read_manifests
    from shardwright.lint.live import beside_files
    from shardwright.lint.objects import Loaded, load
    from shardwright.lint.report import plain

    if not manifests:
        return Loaded(objects=live.objects if live else ()), ()
    found = read_manifests(manifests)
    for note in found.notes:
        click.echo(f"note: {plain(note)}", err=True)
    if not found.sources:
        raise usage_error(
            "no-manifests",
            f"no manifests in {', '.join(manifests)}",
            remedy="name files that end in .yaml, .yml or .json, or render the chart first",
        )
    loaded = load(tuple(found.sources))
    if not loaded.objects and not loaded.broken:
        click.echo(f"note: no Kubernetes object in {plain(', '.join(manifests))}", err=True)
    for spec in sorted({each.file for each in loaded.objects if each.kind == SPEC}):
        click.echo(
            f"note: {plain(spec)} is a spec, not manifests: shardwright render {plain(spec)} |"
            " shardwright lint -",
            err=True,
        )
    if live is None:
        return loaded, ()
    placed, beside = beside_files(loaded.objects, live.objects, live.namespace)
    return dataclasses.replace(loaded, objects=placed), beside


def _write_fixes(findings: tuple[LintFinding, ...], texts: dict[str, str]) -> int:
    """Apply the safe repairs to their files; standard input cannot be repaired."""
    from shardwright.lint.edits import apply_fixes

    written = 0
    for file, text in texts.items():
        fixes = [f.fix for f in findings if f.file == file and f.fix is not None]
        if not fixes:
            continue
        if file == "<stdin>":
            click.echo("note: --fix cannot write to standard input", err=True)
            continue
        changed, applied = apply_fixes(text, fixes)
        path = Path(file)
        mark = codecs.BOM_UTF8 if path.read_bytes().startswith(codecs.BOM_UTF8) else b""
        path.write_bytes(mark + changed.encode("utf-8", "surrogateescape"))
        written += len(applied)
        for fix in applied:
            click.echo(f"fixed {file}: {fix.summary}", err=True)
    return written
