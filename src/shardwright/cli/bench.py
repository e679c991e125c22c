"""`shardwright bench`: does an endpoint meet its objective, and how far can it be loaded?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.bench_output import keep_records, print_bench
from shardwright.cli.bench_question import (
    Question,
    judge_of,
    read_question,
    scenario_of,
    spec_text,
)
from shardwright.cli.options import output_option, read_text
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.bench.aiperf import Target
    from shardwright.bench.compare import Change
    from shardwright.bench.report import Bench
    from shardwright.bench.run import LoadTool, Run
    from shardwright.bench.scenario import Scenario
    from shardwright.model.measured import Measured


@click.command()
@click.argument("target", metavar="URL|SPEC.yaml")
@click.option("--url", help="Endpoint to load, when TARGET is a spec.")
@click.option("--spec", type=click.Path(path_type=Path), help="Spec, when TARGET is a URL.")
@click.option(
    "--sweep", "is_sweep", is_flag=True, help="Find the highest load that still meets it."
)
@click.option("--requests", type=click.IntRange(1), help="Requests per run.")
@click.option("--concurrency", type=click.IntRange(1), help="Instead of the spec's load.")
@click.option("--tokenizer", help="Directory or Hugging Face id; by default the served model.")
@click.option("--api-key-env", help="Environment variable that holds the endpoint's API key.")
@click.option("--baseline", type=click.Path(path_type=Path), help="Earlier result to compare with.")
@click.option("--max-regression", default="5%", show_default=True, help="With --baseline.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench"), show_default=True)
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML here.")
@output_option
def command(
    target: str,
    url: str | None,
    spec: Path | None,
    is_sweep: bool,
    requests: int | None,
    concurrency: int | None,
    tokenizer: str | None,
    api_key_env: str | None,
    baseline: Path | None,
    max_regression: str,
    out: Path,
    junit: Path | None,
    output: str,
) -> int:
    """Load an endpoint with AIPerf and judge it against the spec's objective.

    Exit code 0: the objective is met; 1: it is missed, or worse than the baseline; 4: cannot tell.
    """
    from shardwright.bench.aiperf import Target
    from shardwright.bench.report import html, markdown
    from shardwright.cli.bench_tool import find_aiperf
    from shardwright.drive.aiperf import AiperfProcess
    from shardwright.drive.openai import served_model

    allowed = _fraction(max_regression)
    address, spec = _where(target, url, spec)
    question = read_question(spec, out)
    key = _api_key(api_key_env)
    scenario = scenario_of(question, requests, concurrency)
    earlier = _baseline(baseline)
    model = served_model(address, key)
    tool = AiperfProcess(
        executable=find_aiperf(_say), folder=question.folder.absolute(), api_key=key, say=_say
    )
    goal = Target(
        url=address, model=model, tokenizer=tokenizer or model, has_api_key=key is not None
    )
    bench = _run(tool, scenario, goal, question, is_sweep=is_sweep)
    changes = _changes(earlier, bench.runs[-1].measured, allowed)
    (question.folder / "report.html").write_text(html(bench), encoding="utf-8")
    (question.folder / "report.md").write_text(markdown(bench), encoding="utf-8")
    keep_records(bench, question)
    if junit:
        from shardwright.bench.junit import junit as write_junit

        junit.write_text(write_junit(bench.name, bench.runs[-1].verdict, changes), encoding="utf-8")
    print_bench(bench, changes, output)
    _say(f"report: {question.folder / 'report.html'}")
    is_worse = any(change.is_regression for change in changes)
    return ExitCode.VERDICT_NO if is_worse else bench.outcome.exit_code


def _say(line: str) -> None:
    click.echo(line, err=True)


def _fraction(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 10:
        raise usage_error(
            "not-a-share", f"--max-regression {text!r} is no share", remedy="write 5% or 0.05"
        )
    return value


def _where(target: str, url: str | None, spec: Path | None) -> tuple[str, Path | None]:
    """Tell a URL from a spec file; a spec needs a URL to load."""
    if "://" in target:
        return target, spec
    path = Path(target)
    if not path.exists():
        raise usage_error(
            "target-unknown",
            f"{target!r} is neither a URL nor a spec file",
            remedy="pass http://host:port, or a spec file with --url",
        )
    if url is None:
        raise usage_error(
            "endpoint-unknown",
            f"where {target} is served is not known",
            remedy="pass --url http://host:port",
        )
    return url, path


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise usage_error(
            "api-key-missing",
            f"the environment variable {variable} is not set",
            remedy=f"export {variable}=…",
        )
    return os.environ[variable]


def _run(
    tool: LoadTool, scenario: Scenario, goal: Target, question: Question, *, is_sweep: bool
) -> Bench:
    from shardwright.bench.report import Bench
    from shardwright.bench.run import measure, sweep
    from shardwright.verify.verdict import Outcome

    judge = judge_of(question)
    best: int | None = None
    runs: tuple[Run, ...]
    if is_sweep:
        found = sweep(tool, scenario, goal, judge)
        runs, best = found.runs, found.best
        outcome = Outcome.PASS if best is not None else runs[0].verdict.outcome
    else:
        runs = (measure(tool, scenario, goal, "run", judge),)
        outcome = runs[0].verdict.outcome
    name = question.resolved.request.name if question.resolved else goal.url
    measured = runs[0].measured
    return Bench(
        name=name,
        runs=runs,
        outcome=outcome,
        best=best,
        spec=spec_text(question),
        environment=(
            ("endpoint", goal.url),
            ("model", goal.model),
            ("load tool", f"{measured.tool} {measured.tool_version or ''}".strip()),
        ),
    )


def _baseline(path: Path | None) -> Measured | None:
    from shardwright.verify.readers import read_result

    if path is None:
        return None
    found = path / "profile_export_aiperf.json" if path.is_dir() else path
    return read_result(read_text(found), str(found))


def _changes(earlier: Measured | None, now: Measured, allowed: float) -> tuple[Change, ...]:
    from shardwright.bench.compare import compare

    return compare(earlier, now, allowed) if earlier else ()
