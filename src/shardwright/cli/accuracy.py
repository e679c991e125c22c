"""`shardwright accuracy`: how far off we are on your own measurements."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.options import output_option, print_json
from shardwright.cli.tables import points_argument, read_rows
from shardwright.model.errors import ExitCode, usage_error


@click.command()
@points_argument
@output_option
def command(points: Path, output: str) -> int:
    """Predict every row of POINTS.csv and compare with its measured columns.

    Measured columns: weights_gib, kv_gib, kv_tokens, activation_gib, non_torch_gib,
    cuda_graph_gib; and id, so that the worst rows can be named.
    """
    from shardwright.plan.accuracy import compare, render
    from shardwright.plan.memory_rows import COLUMNS, predict_rows

    rows = read_rows(points, ("model", "gpu"))
    figures = [c for c in COLUMNS if c not in ("origin", "note")]
    measured = [c for c in figures if any(row.get(c) for row in rows)]
    if not measured:
        raise usage_error(
            "nothing-to-compare", f"{points} has no measured column",
            remedy=f"add one of {', '.join(figures)}, with what was measured",
        )  # fmt: skip
    found = compare(rows, list(predict_rows(rows)), measured)
    if output == "json":
        print_json([error.as_row() for error in found])
    else:
        click.echo(render(found), nl=False)
    return ExitCode.DONE
