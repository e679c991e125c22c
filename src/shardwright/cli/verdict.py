"""`shardwright verdict`: load tests' result files against the objective of a spec."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import output_option, print_json
from shardwright.model.errors import usage_error

if TYPE_CHECKING:
    from shardwright.bench.scenario import Scenario
    from shardwright.cli.bench_question import Question
    from shardwright.model.measured import Measured
    from shardwright.model.request import Slo


@click.command()
@click.argument(
    "results", metavar="RESULT.json...", type=click.Path(path_type=Path), nargs=-1, required=True
)
@click.option("--spec", type=click.Path(path_type=Path), help="Spec whose objective counts.")
@click.option("--ttft-ms", type=click.FloatRange(min=0, min_open=True), help="Objective; no spec.")
@click.option("--itl-ms", type=click.FloatRange(min=0, min_open=True), help="Objective; no spec.")
@click.option("--percentile", default=95.0, type=click.FloatRange(50, 99.9), show_default=True)
@click.option("--goodput", metavar="SHARE", help="Of requests that must meet every objective, "
              "as 95%.")  # fmt: skip
@output_option
def command(
    results: tuple[Path, ...],
    spec: Path | None,
    ttft_ms: float | None,
    itl_ms: float | None,
    percentile: float,
    goodput: str | None,
    output: str,
) -> int:
    """Judge RESULT.json of AIPerf, genai-perf, `vllm bench serve`, guidellm or SGLang.

    Several results are runs of one load; a folder of AIPerf, or of numbered runs, does too. As in
    `bench`, the steady state counts where single requests are known.

    Exit code 0: the objective is met; 1: it is missed; 4: the run cannot tell.
    """
    from shardwright.cli.bench_question import goodput_share, judge_of
    from shardwright.cli.result_files import read_runs
    from shardwright.model.plain import plain
    from shardwright.model.request import Slo
    from shardwright.verify.repeats import pooled
    from shardwright.verify.steady import steady
    from shardwright.verify.words import verdict_text

    if spec is not None and (ttft_ms or itl_ms):
        raise usage_error(
            "two-objectives",
            "--spec and an objective on the command line exclude each other",
            remedy="change the slo in the spec, or leave out --spec",
        )
    asked = Slo(
        ttft_s=ttft_ms / 1e3 if ttft_ms else None,
        itl_s=itl_ms / 1e3 if itl_ms else None,
        percentile=percentile,
        goodput=goodput_share(goodput) if goodput else None,
    )
    question = _question(spec, asked)
    whole = read_runs(results)
    _check_one_load(whole)
    runs = tuple(steady(measured, question.slo.percentile) for measured in whole)
    measured = pooled(runs, question.slo.percentile)
    verdict = judge_of(question)(_scenario(question, measured), runs)
    if output == "json":
        measured_plain = {k: v for k, v in plain(measured).items() if k != "samples"}
        print_json("verdict", {"verdict": plain(verdict), "measured": measured_plain})
    else:
        click.echo(verdict_text(measured, verdict), nl=False)
    return verdict.outcome.exit_code


def _question(spec: Path | None, asked: Slo) -> Question:
    from shardwright.cli.bench_question import Question, objective_of

    if spec is None:
        slo = objective_of(None, asked)
        return Question(resolved=None, plan=None, slo=slo, folder=Path())
    from shardwright.cli.resolve import resolve
    from shardwright.planner.plan import make_plan

    resolved = resolve(spec)
    plan = make_plan(resolved.request, resolved.shape)
    slo = objective_of(resolved.request.slo, asked)
    return Question(resolved=resolved, plan=plan, slo=slo, folder=Path())


def _check_one_load(runs: tuple[Measured, ...]) -> None:
    loads = {(run.concurrency, run.requests_per_s) for run in runs}
    if len(loads) > 1:
        raise usage_error(
            "loads-differ",
            "the results are of different loads, and only runs of one load are judged together",
            remedy="judge each by itself",
        )


def _scenario(question: Question, measured: Measured) -> Scenario:
    """What was sent, as far as the result tells; for the rest, as the spec has it."""
    from dataclasses import replace

    from shardwright.bench.scenario import replayed, scenario_for
    from shardwright.model.request import Workload

    request = question.resolved.request if question.resolved else None
    workload = request.workload if request else Workload()
    inputs = [s.input_tokens for s in measured.samples if s.input_tokens]
    outputs = [s.output_tokens for s in measured.samples if s.output_tokens]
    sent = replace(
        workload,
        concurrency=measured.concurrency,
        requests_per_s=None if measured.concurrency else measured.requests_per_s,
        input_tokens=round(fmean(inputs)) if inputs else workload.input_tokens,
        output_tokens=round(fmean(outputs)) if outputs else workload.output_tokens,
    )
    scenario = scenario_for(sent, question.slo, num_requests=measured.num_completed or 1)
    if measured.concurrency or measured.requests_per_s:
        return scenario
    return replayed(scenario, "unknown", measured.num_completed)
