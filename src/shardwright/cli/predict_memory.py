"""`shardwright predict memory`: a table of models and GPUs to memory and KV-cache tokens."""

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
    """Predict memory for every row of POINTS.csv.

    Columns read: model (an id or the path of a config.json), dtype, quantization, kv_cache_dtype,
    gpu, gpu_total_gib, gpu_memory_utilization, max_model_len, tp, pp, ep, engine, engine_version,
    max_num_batched_tokens, max_num_seqs. Others are copied. A row that cannot be predicted gets
    empty figures and a note.
    """
    from shardwright.planner.memory_rows import predict_rows

    rows = list(predict_rows(read_rows(points, ("model", "gpu"))))
    write_rows("memory", rows, out, output)
    return ExitCode.DONE
