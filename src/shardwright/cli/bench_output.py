"""What a bench leaves: lines on stdout and records of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shardwright.cli.options import print_json
from shardwright.model.errors import ShardwrightError

if TYPE_CHECKING:
    from shardwright.bench.compare import Change
    from shardwright.bench.report import Bench
    from shardwright.cli.bench_question import Question


def keep_records(bench: Bench, question: Question) -> None:
    """Append what was measured to the user's records; only a spec says what it was."""
    if question.resolved is None or question.plan is None:
        return
    import datetime

    from shardwright.bench.records import Setting, record, to_line
    from shardwright.drive.folders import measurements_file
    from shardwright.engines import find_engine

    request = question.resolved.request
    setting = Setting(
        request=request,
        plan=question.plan,
        engine_version=request.engine.version or find_engine(request.engine.name).default_version,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    path = measurements_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for run in bench.runs:
                file.write(to_line(record(run, setting)))
    except OSError as error:
        raise ShardwrightError(
            code="records-not-writable",
            what=f"the measurement was made but cannot be kept in {path}: {error.strerror}",
            remedy="check its permissions, or set XDG_DATA_HOME; the report is written",
        ) from error


def print_bench(bench: Bench, changes: tuple[Change, ...], output: str) -> None:
    """Print the verdict of each run, the curve and any comparison."""
    from shardwright.bench.curve import sparkline
    from shardwright.model.plain import plain
    from shardwright.verify.words import verdict_text

    if output == "json":
        runs = [
            {
                "scenario": plain(run.scenario),
                "verdict": plain(run.verdict),
                "server": plain(run.server),
                "folder": run.folder,
            }
            for run in bench.runs
        ]
        print_json(
            {"outcome": bench.outcome.value, "best": bench.best, "runs": runs,
             "changes": plain(changes)}
        )  # fmt: skip
        return
    for run in bench.runs:
        click.echo(verdict_text(run.measured, run.verdict), nl=False)
        for line in run.server.explain() if run.server else ():
            click.echo(f"  engine: {line}")
    if len(bench.runs) > 1:
        rates = [run.measured.output_tokens_per_s or 0.0 for run in bench.runs]
        loads = ", ".join(str(run.scenario.concurrency) for run in bench.runs)
        click.echo(f"tokens/s over concurrency ({loads}): {sparkline(rates)}")
        best = "none that was tried" if bench.best is None else str(bench.best)
        click.echo(f"highest concurrency that meets the objective: {best}")
    for change in changes:
        mark = "WORSE" if change.is_regression else "ok"
        click.echo(f"  {mark}: {change.name} {change.before:.4g} -> {change.after:.4g}")
