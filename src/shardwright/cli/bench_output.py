"""What a bench leaves: lines on stdout, reports, and records of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardwright.cli.options import json_text, print_json
from shardwright.model.answers import versioned
from shardwright.model.errors import ShardwrightError

if TYPE_CHECKING:
    from pathlib import Path

    from shardwright.bench.compare import Change
    from shardwright.bench.report import Bench
    from shardwright.cli.bench_question import Question

RESULT = "result.json"
PAGE = "report.html"


def write_reports(bench: Bench, folder: Path) -> None:
    """Write the page, the summary and the result, which a later run takes as its baseline."""
    from shardwright.bench.page import html
    from shardwright.bench.report import markdown

    result = json_text(versioned("bench", as_json(bench)))
    texts = ((PAGE, html(bench)), ("report.md", markdown(bench)), (RESULT, result))
    for name, text in texts:
        (folder / name).write_text(text, encoding="utf-8")


def keep_records(bench: Bench, question: Question) -> None:
    """Append what was measured to the user's records; only a spec says what it was."""
    if question.resolved is None or question.plan is None:
        return
    import datetime

    from shardwright.bench.records import Setting, record, to_line
    from shardwright.drive.folders import measurements_file
    from shardwright.engines import find_engine

    request = question.resolved.request
    told = dict(bench.environment).get("engine", "").split()  # as "vLLM 0.32.0"
    planned = request.engine.version or find_engine(request.engine.name).default_version
    setting = Setting(
        request=request,
        plan=question.plan,
        engine_version=told[-1] if told else planned,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    path = measurements_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for run in bench.runs:
                row = record(run, setting)
                if row is not None:
                    file.write(to_line(row))
                else:
                    click.echo(f"{run.scenario.load}: not kept for calibrate", err=True)
    except OSError as error:
        raise ShardwrightError(
            code="records-not-writable",
            what=f"the measurement was made but cannot be kept in {path}: {error.strerror}",
            remedy="check its permissions, or set XDG_DATA_HOME; the report is written",
        ) from error


def as_json(bench: Bench) -> dict[str, Any]:
    """Shape a bench for -o json; single requests stay in the tool's own files."""
    from shardwright.model.plain import plain

    runs = []
    for run in bench.runs:
        measured = {k: v for k, v in plain(run.measured).items() if k != "samples"}
        server = plain(run.server)
        if server:
            server.pop("scrapes")
        runs.append(
            {
                "scenario": plain(run.scenario),
                "verdict": plain(run.verdict),
                "measured": measured,
                "server": server,
                "gpu": plain(run.gpu),
                "folder": run.folder,
            }
        )
    return {
        "name": bench.name,
        "outcome": bench.outcome.value,
        "best": bench.best,
        "advice": list(bench.advice),
        "runs": runs,
        "changes": plain(bench.changes),
        "environment": dict(bench.environment),
    }


def print_bench(bench: Bench, output: str) -> None:
    """Print the verdict of each run, the curve, what would mend a miss, and any comparison."""
    from shardwright.verify.words import verdict_text

    if output == "json":
        print_json("bench", as_json(bench))
        return
    for run in bench.runs:
        if len(bench.runs) > 1:
            click.echo(f"{run.scenario.load}: ", nl=False)
        click.echo(verdict_text(run.measured, run.verdict), nl=False)
        for line in run.server.explain() if run.server else ():
            click.echo(f"  engine: {line}")
        if run.gpu:
            click.echo(f"  {run.gpu.explain()}")
    if bench.is_sweep:
        _print_curve(bench)
    for line in bench.advice:
        click.echo(f"  mend: {line}")
    for change in bench.changes:
        click.echo(_change(change))


def _print_curve(bench: Bench) -> None:
    from shardwright.bench.curve import sparkline

    loads = ", ".join(str(run.scenario.concurrency) for run in bench.runs)
    click.echo(f"over concurrency {loads}")
    rates = [run.measured.output_tokens_per_s or 0.0 for run in bench.runs]
    click.echo(f"  tokens/s   {sparkline(rates)}  {min(rates):,.0f} to {max(rates):,.0f}")
    foreseen = [run.verdict.predicted_output_tokens_per_s for run in bench.runs]
    known = [rate for rate in foreseen if rate is not None]
    if known:
        click.echo(f"  predicted  {sparkline(known)}  {min(known):,.0f} to {max(known):,.0f}")
    for name in ("ttft", "itl"):
        terms = [t for run in bench.runs for t in run.verdict.terms if t.name == name]
        values = [t.measured_s for t in terms if t.measured_s is not None]
        if values:
            line = f"  {name.upper():<9}  {sparkline(values)}  "
            click.echo(f"{line}{min(values) * 1e3:,.1f} to {max(values) * 1e3:,.1f} ms")
    best = "none that was tried" if bench.best is None else str(bench.best)
    click.echo(f"highest concurrency that meets the objective: {best}")


def _change(change: Change) -> str:
    mark = "WORSE" if change.is_regression else "ok"
    return f"  {mark}: {change.name} {change.before:.4g} -> {change.after:.4g} against the baseline"
