"""`shardwright verdict`: a load test's result file against the objective of a spec."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.options import output_option, print_json, read_text
from shardwright.model.errors import usage_error


@click.command()
@click.argument("result", metavar="RESULT.json", type=click.Path(path_type=Path))
@click.option("--spec", type=click.Path(path_type=Path), help="Spec whose objective counts.")
@click.option("--ttft-ms", type=click.FloatRange(min=0, min_open=True), help="Objective; no spec.")
@click.option("--itl-ms", type=click.FloatRange(min=0, min_open=True), help="Objective; no spec.")
@click.option("--percentile", default=95.0, type=click.FloatRange(50, 99.9), show_default=True)
@output_option
def command(
    result: Path,
    spec: Path | None,
    ttft_ms: float | None,
    itl_ms: float | None,
    percentile: float,
    output: str,
) -> int:
    """Judge RESULT.json of AIPerf, genai-perf, `vllm bench serve` or guidellm.

    Exit code 0: the objective is met; 1: it is missed; 4: the run cannot tell.
    """
    from shardwright.model.plain import plain
    from shardwright.model.request import Slo
    from shardwright.verify.readers import read_result
    from shardwright.verify.verdict import judge
    from shardwright.verify.words import verdict_text

    if spec is not None and (ttft_ms or itl_ms):
        raise usage_error(
            "two-objectives",
            "--spec and an objective on the command line exclude each other",
            remedy="change the slo in the spec, or leave out --spec",
        )
    path = result / "profile_export_aiperf.json" if result.is_dir() else result
    records = path.parent / "profile_export.jsonl"
    measured = read_result(
        read_text(path),
        str(path),
        read_text(records) if "aiperf" in path.name and records.is_file() else None,
    )
    slo = Slo(
        ttft_s=ttft_ms / 1e3 if ttft_ms else None,
        itl_s=itl_ms / 1e3 if itl_ms else None,
        percentile=percentile,
    )
    num_gpus = None
    if spec is not None:
        from shardwright.cli.resolve import resolve
        from shardwright.planner.plan import make_plan

        resolved = resolve(spec)
        slo = resolved.request.slo
        plan = make_plan(resolved.request, resolved.shape)
        num_gpus = plan.layout.num_gpus
        verdict = judge(
            measured,
            slo,
            predicted=plan.speed,
            num_gpus=num_gpus,
            usd_per_hour=plan.cost.usd_per_hour if plan.cost else None,
        )
    else:
        verdict = judge(measured, slo)
    if output == "json":
        measured_plain = {k: v for k, v in plain(measured).items() if k != "samples"}
        print_json({"verdict": plain(verdict), "measured": measured_plain})
    else:
        click.echo(verdict_text(measured, verdict), nl=False)
    return verdict.outcome.exit_code
