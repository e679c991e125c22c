"""`shardwright bench`: does an endpoint meet its objective, and how far can it be loaded?"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.bench_facts import advice_of, other_model, planned, surroundings
from shardwright.cli.bench_output import keep_records, print_bench, write_reports
from shardwright.cli.bench_question import (
    Load,
    Question,
    folder_of,
    fraction,
    goodput_share,
    judge_of,
    read_question,
    scenario_of,
    spec_text,
)
from shardwright.cli.bench_target import Aim, Wanted, aim_here, aim_in_cluster, told_apart
from shardwright.cli.cluster import cluster_options, namespace_option
from shardwright.cli.options import not_writable, output_option, read_text, write_text
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error

if TYPE_CHECKING:
    from shardwright.bench.compare import Baseline
    from shardwright.bench.report import Bench
    from shardwright.bench.run import Bounds, Method, Run
    from shardwright.bench.scenario import Scenario

_positive = click.FloatRange(min=0, min_open=True)


@click.command()
@click.argument("target", metavar="SPEC.yaml|URL|NAME")
@click.option("--url", help="Load this address from here, when TARGET is a spec.")
@click.option("--spec", type=click.Path(path_type=Path), help="Spec, when TARGET is none.")
@click.option("--ttft-ms", type=_positive, help="Objective, without a spec.")
@click.option("--itl-ms", type=_positive, help="Objective, without a spec.")
@click.option("--percentile", default=95.0, type=click.FloatRange(50, 99.9), show_default=True,
              help="Of the objective, without a spec.")  # fmt: skip
@click.option("--goodput", metavar="SHARE", help="Of requests that must meet every objective, "
              "as 95%.")  # fmt: skip
@click.option(
    "--sweep", "is_sweep", is_flag=True, help="Find the highest load that still meets it."
)
@click.option("--max-concurrency", type=click.IntRange(1), default=1024, show_default=True,
              help="Highest load that a sweep tries.")  # fmt: skip
@click.option("--sweep-minutes", type=_positive, default=60.0, show_default=True,
              help="After so long a sweep begins no other load.")  # fmt: skip
@click.option("--runs", default=1, type=click.IntRange(1, 20), show_default=True,
              help="Independent runs of each load; intervals are over runs.")  # fmt: skip
@click.option("--requests", type=click.IntRange(1), help="Requests per run.")
@click.option("--concurrency", type=click.IntRange(1), help="Instead of the spec's load.")
@click.option("--rate", type=_positive, help="Requests per second, Poisson, instead of it.")
@click.option("--trace", type=click.Path(path_type=Path), help="Mooncake trace to replay instead.")
@click.option("--input-tokens", type=click.IntRange(1), help="Mean prompt length.")
@click.option("--output-tokens", type=click.IntRange(1), help="Mean answer length.")
@click.option("--tokenizer", help="Directory or Hugging Face id; by default the served model.")
@click.option("--api-key-env", help="Environment variable that holds the endpoint's API key.")
@click.option("--dcgm-url", help="Metrics of a DCGM exporter; found by itself in a cluster.")
@click.option("--image", help="Image with AIPerf, for the Job in the cluster.")
@click.option("--tool", type=click.Choice(["auto", "aiperf", "vllm"]), default="auto",
              show_default=True, help="Load tool of the Job in the cluster.")  # fmt: skip
@click.option("--baseline", type=click.Path(path_type=Path), help="Earlier result to compare with.")
@click.option("--max-regression", default="5%", show_default=True, help="With --baseline.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("bench"), show_default=True)
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML here.")
@click.option("--record/--no-record", default=True, show_default=True,
              help="Keep what was measured, for `calibrate`.")  # fmt: skip
@namespace_option
@cluster_options
@output_option
def command(
    target: str, url: str | None, spec: Path | None, ttft_ms: float | None, itl_ms: float | None,
    percentile: float, goodput: str | None, is_sweep: bool, max_concurrency: int,
    sweep_minutes: float, runs: int, requests: int | None, concurrency: int | None,
    rate: float | None, trace: Path | None, input_tokens: int | None, output_tokens: int | None,
    tokenizer: str | None, api_key_env: str | None, dcgm_url: str | None, image: str | None,
    tool: str, baseline: Path | None, max_regression: str, out: Path, junit: Path | None,
    record: bool, namespace: str | None, kubeconfig: Path | None, context: str | None, output: str,
) -> int:  # fmt: skip
    """Load an endpoint with AIPerf and judge it against its objective.

    A URL is loaded from here. A spec, or the name of an endpoint in the current context, is loaded
    by a Job beside it.

    Exit code 0: the objective is met; 1: it is missed, or worse than the baseline; 4: cannot tell.
    """
    from shardwright.bench.compare import compare
    from shardwright.bench.failure import is_about_model, model_not_served
    from shardwright.bench.run import Bounds, Method
    from shardwright.cli.progress import Progress
    from shardwright.drive.kube import connect
    from shardwright.model.request import Slo

    load = Load(
        requests=requests, concurrency=concurrency, rate=rate, trace=trace,
        input_tokens=input_tokens, output_tokens=output_tokens,
    )  # fmt: skip
    _check_load(load, is_sweep=is_sweep)
    if junit and not junit.parent.is_dir():
        raise not_writable(junit, "there is no such folder")
    allowed = fraction(max_regression, "--max-regression")
    address, spec = told_apart(target, url, spec)
    slo = Slo(
        ttft_s=ttft_ms / 1e3 if ttft_ms else None,
        itl_s=itl_ms / 1e3 if itl_ms else None,
        percentile=percentile,
        goodput=goodput_share(goodput) if goodput else None,
    )
    is_name = address is None and not Path(target).is_file()
    wanted = Wanted(
        url=address, name=target if is_name else None, spec=spec, namespace=namespace,
        tokenizer=tokenizer, api_key_env=api_key_env, dcgm_url=dcgm_url, image=image, tool=tool,
    )  # fmt: skip
    question = read_question(spec, out, slo, load)
    scenario = scenario_of(question, load)
    earlier = _baseline(baseline, question.slo.percentile)
    method = Method(
        judge=judge_of(question),
        percentile=question.slo.percentile,
        num_runs=runs,
        least_requests=requests or 0,
    )
    progress = Progress()
    with ExitStack() as stack:
        stack.enter_context(folder_of(out))
        if address is not None:
            aim = aim_here(wanted, address, question, progress)
        else:
            cluster = stack.enter_context(connect(kubeconfig, context))
            aim = aim_in_cluster(wanted, cluster, question, progress)
        try:
            bounds = Bounds(concurrency=max_concurrency, seconds=60 * sweep_minutes)
            bench = _run(aim, scenario, method, question, bounds if is_sweep else None)
        except ShardwrightError as error:
            if is_about_model(error, aim.target.model):
                raise model_not_served(aim.target.model, aim.served()) from error
            raise
    if earlier is not None:
        bench = replace(bench, changes=compare(earlier, bench.shown.measured, allowed))
    write_reports(bench, question.folder)
    if record:
        keep_records(bench, question)
    if junit:
        from shardwright.bench.junit import junit as write_junit

        text = write_junit(bench.name, bench.shown.verdict, bench.changes)
        write_text(junit, text)
    print_bench(bench, output)
    _say(f"report: {question.folder / 'report.html'}")
    is_worse = any(change.is_regression for change in bench.changes)
    return ExitCode.VERDICT_NO if is_worse else bench.outcome.exit_code


def _say(line: str) -> None:
    click.echo(line, err=True)


def _check_load(load: Load, *, is_sweep: bool) -> None:
    given = [n for n in ("concurrency", "rate", "trace") if getattr(load, n) is not None]
    if len(given) > 1:
        raise usage_error(
            "two-loads", f"--{given[0]} and --{given[1]} exclude each other",
            remedy="pass one of them",
        )  # fmt: skip
    if is_sweep and given and given != ["concurrency"]:
        raise usage_error(
            "sweep-of-concurrency", f"a sweep varies the concurrency, not the {given[0]}",
            remedy=f"leave out --{given[0]}, or --sweep",
        )  # fmt: skip


def _run(
    aim: Aim, scenario: Scenario, method: Method, question: Question, bounds: Bounds | None
) -> Bench:
    from shardwright.bench.report import Bench
    from shardwright.bench.run import measure, sweep
    from shardwright.drive.clock import SystemClock

    best: int | None = None
    runs: tuple[Run, ...]
    if bounds is not None:
        found = sweep(aim.tool, scenario, aim.target, method, SystemClock(), bounds)
        if found.is_cut:
            _say("the time is up; --sweep-minutes gives the search more")
        runs, best, outcome = found.runs, found.best, found.outcome
    else:
        runs = (measure(aim.tool, scenario, aim.target, "run", method),)
        outcome = runs[0].verdict.outcome
    name = question.resolved.request.name if question.resolved else aim.target.model
    bench = Bench(
        name=name,
        runs=runs,
        outcome=outcome,
        is_sweep=bounds is not None,
        best=best,
        spec=spec_text(question),
        startup=aim.startup,
        environment=surroundings(aim, runs[0]),
    )
    advice = other_model(bench, aim) or advice_of(question, bench)
    return replace(bench, **planned(question), advice=advice)


def _baseline(path: Path | None, percentile: float) -> Baseline | None:
    from shardwright.bench.compare import baseline_of
    from shardwright.cli.bench_output import RESULT
    from shardwright.cli.result_files import SUMMARY, records_of

    if path is None:
        return None
    names = (RESULT, SUMMARY) if path.is_dir() else ()
    found = next((path / name for name in names if (path / name).is_file()), path)
    return baseline_of(read_text(found), str(found), records_of(found), percentile)
