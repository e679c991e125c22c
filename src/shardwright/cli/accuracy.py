"""`shardwright accuracy`: how far off we are on your own measurements."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.options import calibration_option, output_option, print_json
from shardwright.cli.records import read_records
from shardwright.cli.resolve import use_local_fits
from shardwright.model.errors import ExitCode, usage_error

LATENCY_COLUMNS = ("ttft_ms", "tpot_ms", "request_ms", "output_tokens_s_total")


@click.command()
@click.argument("points", metavar="[POINTS.csv]", required=False, type=click.Path(path_type=Path))
@click.option("--by", default="", help="Columns to group by, such as gpu,engine.")
@calibration_option
@output_option
def command(points: Path | None, by: str, with_local_fits: bool, output: str) -> int:
    """Predict every row of POINTS.csv and compare with its measured columns; without it, every load
    that your benches have measured.

    Measured columns: ttft_ms, tpot_ms, output_tokens_s_total; weights_gib, kv_gib, kv_tokens,
    activation_gib, non_torch_gib, cuda_graph_gib; and id, so that the worst rows can be named.
    request_ms is TTFT + (OSL - 1) x TPOT. Bias: positive where we predict too much.
    """
    from shardwright.planner.accuracy import ColumnError, compare, render

    rows = read_records(points)
    if not rows:
        raise usage_error(
            "nothing-measured", f"there is no measurement in {points or 'the records of benches'}",
            remedy="run shardwright bench SPEC.yaml --sweep first, or pass a table",
        )  # fmt: skip
    for fit in use_local_fits() if with_local_fits else ():
        words = (
            f"{fit.gpu}, {fit.engine}: calibrated on {fit.num_points} points of yours, {fit.date}"
        )
        click.echo(words, err=True)
    predicted, figures = _predicted(rows)
    measured = [c for c in figures if any(row.get(c) for row in rows)]
    if not measured:
        raise usage_error(
            "nothing-to-compare", f"{points or 'what benches kept'} has no measured column",
            remedy=f"add one of {', '.join(figures)}, with what was measured",
        )  # fmt: skip
    keys = [name.strip() for name in by.split(",") if name.strip()]
    absent = [name for name in keys if not any(name in row for row in rows)]
    if absent:
        raise usage_error(
            "column-missing", f"{points or 'what benches kept'} has no column {', '.join(absent)}",
            remedy=f"group by some of {', '.join(rows[0])}",
        )  # fmt: skip
    groups: dict[str, list[ColumnError]] = {}
    names = [" ".join(row.get(k) or "-" for k in keys) for row in rows]
    for name in [*sorted(set(names)), ""] if keys else [""]:
        chosen = [i for i, have in enumerate(names) if name in {"", have}]
        groups[name or "all"] = compare(
            [rows[i] for i in chosen], [predicted[i] for i in chosen], measured
        )
    if output == "json":
        compared = [{"group": g, **e.as_row()} for g, errors in groups.items() for e in errors]
        print_json("accuracy", {"rows": compared})
        return ExitCode.DONE
    for name, errors in groups.items():
        click.echo((f"{name}\n" if keys else "") + render(errors), nl=False)
    return ExitCode.DONE


def _predicted(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[str]]:
    """Return predictions of whatever the rows measured; rows gain the time of a whole request."""
    if any(row.get("ttft_ms") or row.get("tpot_ms") for row in rows):
        from shardwright.planner import latency_rows

        found = list(latency_rows.predict_rows(rows))
        for row, guess in zip(rows, found, strict=True):
            length = row.get("osl_mean") or row.get("osl") or ""
            for which in (guess, row):
                which["request_ms"] = _request_ms(which, length)
        return found, list(LATENCY_COLUMNS)
    from shardwright.planner import memory_rows

    figures = [c for c in memory_rows.COLUMNS if c not in ("origin", "note")]
    return list(memory_rows.predict_rows(rows)), figures


def _request_ms(row: dict[str, str], length: str) -> str:
    try:
        return str(float(row["ttft_ms"]) + (float(length) - 1) * float(row["tpot_ms"]))
    except (KeyError, ValueError):
        return ""
