"""`shardwright predict latency`: a table of deployments and loads to TTFT, TPOT and throughput."""

from __future__ import annotations

from pathlib import Path

import click

from shardwright.cli.options import output_option
from shardwright.cli.tables import out_option, points_argument, read_rows, write_rows
from shardwright.model.errors import ExitCode


@click.command()
@points_argument
@out_option
@output_option
def command(points: Path, out: Path | None, output: str) -> int:
    """Predict the latency a load test would measure at every row of POINTS.csv.

    Columns needed: model (an id or the path of a config.json), gpu, engine, isl and osl (tokens),
    and concurrency (a number or `max`) or request_rate. Read besides: id, dtype, engine_version,
    tp, pp, ep, attention_dp, isl_mean, osl_mean, max_num_batched_tokens, max_num_seqs,
    kv_cache_dtype, quantization, prefix_hit_rate, window (first-burst, steady or
    service). Others are copied. A row that cannot be predicted gets empty figures and a note.
    """
    from shardwright.planner.latency_rows import predict_rows

    write_rows("latency", list(predict_rows(read_rows(points))), out, output)
    return ExitCode.DONE
