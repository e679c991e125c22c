#!/usr/bin/env python3
"""How fast the planner answers: `make bench`. Prints one JSON object.

With AICONFIGURATOR set to the path of that tool (installed from PyPI in an environment of its own)
the same 70B question is put to both, in one run, and the ratio is printed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "llama-3.1-405b-bf16-h100.yaml"
OURS = [sys.executable, "-m", "shardwright"]
THEIRS = [
    "cli", "default", "--model-path", "meta-llama/Llama-3.1-70B", "--total-gpus", "16", "--system",
    "h200_sxm", "--backend", "vllm", "--isl", "2048", "--osl", "256", "--ttft", "2000",
    "--tpot", "60",
]  # fmt: skip


def wall(argv: list[str], repeats: int = 3) -> float:
    """Return the best wall time of a process, seconds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(argv, check=False, capture_output=True, cwd=ROOT)
        best = min(best, time.perf_counter() - start)
    return best


def analytic() -> float:
    """Seconds of 10,000 closed-form predictions of one warm deployment."""
    import numpy as np

    from shardwright.planner.analytic import estimate
    from shardwright.planner.coefficients import packaged
    from shardwright.planner.latency import setup_of
    from shardwright.planner.point import point_of
    from shardwright.shape import load

    row = {"model": "meta-llama/Llama-3.1-70B", "gpu": "H200", "engine": "vllm", "tp": "4",
           "isl": "2048", "osl": "256", "concurrency": "32"}  # fmt: skip
    setup = setup_of(point_of(row), load(row["model"]), packaged())
    start = time.perf_counter()
    for isl in (256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072):
        estimate(setup.table, np.linspace(1, 1000, 1000), isl, 256, 8192)
    return time.perf_counter() - start


def simulated() -> tuple[float, float]:
    """Median and 95th percentile seconds of one replayed prediction, over the measured points."""
    import csv

    from shardwright.planner.latency_rows import predict_rows

    with (ROOT / "calibration/measurements/latency.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::4]
    list(predict_rows(rows))
    times, found = [], predict_rows(rows)
    while True:
        start = time.perf_counter()
        if next(found, None) is None:
            break
        times.append(time.perf_counter() - start)
    return statistics.median(times), sorted(times)[int(0.95 * len(times))]


def wide_search() -> float:
    """Seconds to search 3 engines x 4 quantizations x 5 GPU types within 128 GPUs."""
    from shardwright import shape
    from shardwright.engines import find_engine
    from shardwright.model.errors import ShardwrightError
    from shardwright.model.request import Parallelism
    from shardwright.planner.search import search
    from shardwright.spec.load import load

    asked = load(EXAMPLE.read_text(), "example").request
    model = shape.load("meta-llama/Llama-3.1-70B")
    start = time.perf_counter()
    for engine in ("vllm", "sglang", "tensorrt-llm"):
        for quantization in (None, "fp8", "nvfp4", "awq"):
            for gpu in ("H100-SXM", "H200-SXM", "B200-SXM", "A100-80GB-SXM", "L40S"):
                request = replace(
                    asked,
                    parallelism=Parallelism(),
                    engine=replace(asked.engine, name=engine, quantization=quantization),
                    cluster=replace(asked.cluster, gpu=gpu, nodes=16),
                    model=replace(asked.model, id=model.id),
                )
                try:
                    search(request, model, find_engine(engine), 9216)
                except ShardwrightError as error:
                    print(engine, quantization, gpu, error, file=sys.stderr)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    median, tail = simulated()
    found = {
        "help_s": wall([*OURS, "--help"]),
        "plan_405b_cold_s": wall([*OURS, "plan", str(EXAMPLE)]),
        "analytic_10000_s": analytic(),
        "simulated_median_s": median,
        "simulated_p95_s": tail,
        "search_60_settings_128_gpus_s": wide_search(),
        "load_average": os.getloadavg()[0],
    }
    if other := os.environ.get("AICONFIGURATOR"):
        spec = EXAMPLE.with_name("llama-3.1-70b.yaml")
        found["plan_70b_cold_s"] = wall([*OURS, "plan", str(spec)], 1)
        found["aiconfigurator_70b_s"] = wall([other, *THEIRS], 1)
        found["times_faster_70b"] = found["aiconfigurator_70b_s"] / found["plan_70b_cold_s"]
        found["aiconfigurator_help_s"] = wall([other, "--help"], 1)
    print(json.dumps({k: round(v, 4) for k, v in found.items()}, indent=1))


if __name__ == "__main__":
    main()
