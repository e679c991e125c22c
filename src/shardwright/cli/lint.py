"""`shardwright lint`: what will fail in anybody's manifests, before a GPU is paid for."""

from __future__ import annotations

import codecs
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.lint.finding import LintFinding


@click.command()
@click.argument("manifests", nargs=-1, required=True, metavar="FILE|DIR|-...")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings as well.")
@click.option("--fix", "fixes", is_flag=True, help="Write the repairs that are safe.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How findings are printed.",
)
def command(manifests: tuple[str, ...], strict: bool, fixes: bool, output: str) -> int:
    """Find what will fail in Kubernetes manifests of LLM servers."""
    from shardwright.cli.manifests import read_manifests
    from shardwright.lint.objects import load
    from shardwright.lint.report import WRITERS, plain
    from shardwright.lint.run import lint
    from shardwright.lint.table import RULES
    from shardwright.model.finding import Severity

    gc.disable()  # the values read live until exit; collecting among them doubles the time
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
    findings = lint(loaded)
    if fixes:
        broken = {file for file, _ in loaded.broken}
        texts = {source.name: source.text for source in found.sources if source.name not in broken}
        fixed = _write_fixes(findings, texts)
        if fixed:
            findings = lint(load(tuple(read_manifests(manifests).sources)))
    sys.stdout.write(WRITERS[output](findings, RULES))
    if loaded.broken:
        return ExitCode.USAGE
    grave = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    return (
        ExitCode.VERDICT_NO
        if any(finding.severity in grave for finding in findings)
        else ExitCode.DONE
    )


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
