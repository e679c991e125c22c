#!/usr/bin/env python3
"""How fast the planner answers, beside AIConfigurator's command line: `make bench`.

Prints a table and writes it to docs/benchmarks.md. AICONFIGURATOR is the path of that tool, in an
environment of its own; both tools are asked in turn, in one run, so that a busy machine slows both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import page

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "llama-3.1-405b-bf16-h100.yaml"
OURS = [sys.executable, "-m", "shardwright"]
THEIRS = [
    "cli", "default", "--model-path", "meta-llama/Meta-Llama-3.1-70B", "--total-gpus", "16",
    "--system", "h200_sxm", "--backend", "vllm", "--isl", "2048", "--osl", "256", "--ttft", "2000",
    "--tpot", "60",
]  # fmt: skip
SAME_QUESTION = """\
spec:
  model: {id: meta-llama/Llama-3.1-70B}
  cluster: {gpu: H200-SXM, gpusPerNode: 8, nodes: 2}
  workload: {inputTokens: 2048, outputTokens: 256}
  slo: {ttftMs: 2000, itlMs: 60}
"""
ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one piece of work: by the clock, and of the CPU."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; asked_s: what it should take at most; theirs: the peer's."""

    name: str
    ours: Took
    asked_s: float | None = None
    theirs: Took | None = None


def process(argv: list[str]) -> Took:
    """Run a process to its end. Offline: what is compared is planning, not a hub's answer.

    Bytecode is kept as on any user's machine, whatever this shell says: without it every process
    compiles its sources anew, and the peer's were compiled when it was installed.
    Raises CalledProcessError where it fails: what gave up early has not answered.
    """
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said,
            env={**kept, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        _, status, used = os.wait4(child.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        # a plan that misses its limits ends with 1 and has answered
        if code not in (0, 1):
            said.seek(0)
            raise subprocess.CalledProcessError(code, argv, stderr=said.read()[-2000:])
    return Took(time.perf_counter() - start, used.ru_utime + used.ru_stime)


def function(work: Callable[[], object]) -> Took:
    """Run a function here."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def best(work: Callable[[], Took]) -> Took:
    """The least of some rounds of one piece of work."""
    return least([work() for _ in range(ROUNDS)])


def least(found: Sequence[Took]) -> Took:
    """The least of some rounds: what the work takes when others disturb it least."""
    return Took(min(t.wall_s for t in found), min(t.cpu_s for t in found))


def in_turn(ours: Callable[[], Took], theirs: Callable[[], Took]) -> tuple[Took, Took]:
    """Best of each, asked in turn."""
    pairs = [(ours(), theirs()) for _ in range(ROUNDS)]
    return least([mine for mine, _ in pairs]), least([other for _, other in pairs])


def analytic() -> Took:
    """10,000 closed-form predictions of one warm deployment."""
    import numpy as np

    from shardwright.model.layout import Layout
    from shardwright.planner.analytic import estimate
    from shardwright.planner.serving_speed import setup_for
    from shardwright.shape import load
    from shardwright.spec.load import load as load_spec

    request = load_spec(SAME_QUESTION, "bench").request
    shape = load(request.model.id)
    setup = setup_for(request, shape, Layout(tensor_parallel=4), 500_000)

    def work() -> None:
        for isl in (256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072):
            estimate(setup.table, np.linspace(1, 1000, 1000), isl, 256, 8192)

    work()
    return best(lambda: function(work))


def simulated() -> tuple[Took, Took]:
    """Median and 95th percentile of one replayed prediction, over the measured points."""
    import csv

    from shardwright.planner.latency_rows import predict_rows

    with (ROOT / "calibration/measurements/latency.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::4]
    list(predict_rows(rows))
    found = predict_rows(rows)
    times = [function(lambda: next(found)) for _ in rows]
    walls, cpus = sorted(t.wall_s for t in times), sorted(t.cpu_s for t in times)
    tail = int(0.95 * len(times))
    return (
        Took(statistics.median(walls), statistics.median(cpus)),
        Took(walls[tail], cpus[tail]),
    )


def wide_search() -> Took:
    """3 engines x 4 quantizations x 5 GPU types within 128 GPUs."""
    from shardwright import shape
    from shardwright.model.request import Parallelism
    from shardwright.planner.bases import Allowed
    from shardwright.planner.plan import Question, choose
    from shardwright.spec.load import load

    asked = load(EXAMPLE.read_text(), "example").request
    model = shape.load("meta-llama/Llama-3.1-70B")
    request = replace(
        asked,
        parallelism=Parallelism(),
        cluster=replace(asked.cluster, nodes=16),
        model=replace(asked.model, id=model.id),
    )
    allowed = Allowed(
        gpus=("H100-SXM", "H200-SXM", "B200-SXM", "A100-80GB-SXM", "L40S"),
        engines=("vllm", "sglang", "tensorrt-llm"),
        quantizations=("none", "fp8", "nvfp4", "awq"),
    )
    return function(lambda: choose(request, model, Question(allowed=allowed)))


def measure(peer: str | None) -> list[Row]:
    """Measure all of it."""
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "64.yaml"
        wide.write_text(EXAMPLE.read_text().replace("nodes: 2", "nodes: 8"))
        same = Path(folder) / "same.yaml"
        same.write_text(SAME_QUESTION)
        rows = [
            Row("plan, 405B BF16 on H100, up to 64 GPUs, cold process",
                best(lambda: process([*OURS, "plan", str(wide)])), 0.5),
        ]  # fmt: skip
        for name, argv, other in (
            ("--help, cold process", ["--help"], ["--help"]),
            ("plan, 70B on 16 H200, one engine, cold process", ["plan", str(same)], THEIRS),
        ):
            asked = 0.15 if argv == ["--help"] else None
            if peer:
                ours, theirs = in_turn(
                    lambda argv=argv: process([*OURS, *argv]),
                    lambda other=other: process([peer, *other]),
                )
                rows.append(Row(name, ours, asked, theirs))
            else:
                rows.append(Row(name, best(lambda argv=argv: process([*OURS, *argv])), asked))
    median, tail = simulated()
    rows += [
        Row("10,000 closed-form predictions, warm", analytic(), 0.5),
        Row("one simulated prediction, median", median, 0.015),
        Row("one simulated prediction, 95th percentile", tail, 0.06),
        Row("search, 3 engines x 4 quantizations x 5 GPUs, 128 GPUs", wide_search(), 3.0),
    ]
    return rows


def section(rows: list[Row], version: str | None, load: float) -> str:
    """Write the section."""
    head = "| What | wall s | CPU s | asked s | AIConfigurator wall s | CPU s | times the CPU |"
    lines = [
        f"Best of {ROUNDS} rounds; both tools in turn, in one run, offline.",
        "CPU seconds are what to compare where the machine was shared.",
        "",
        page.machine(load),
        "",
        head,
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        theirs = ["", "", ""]
        if r.theirs:
            ratio = r.theirs.cpu_s / r.ours.cpu_s
            theirs = [f"{r.theirs.wall_s:.2f}", f"{r.theirs.cpu_s:.2f}", f"{ratio:.1f}"]
        asked = f"{r.asked_s:g}" if r.asked_s else ""
        cells = [r.name, f"{r.ours.wall_s:.4f}", f"{r.ours.cpu_s:.4f}", asked, *theirs]
        lines.append("| " + " | ".join(cells) + " |")
    peer = f"AIConfigurator {version} from PyPI" if version else "AIConfigurator was not measured"
    lines += [
        "",
        f"{peer}. Its search is of TP and batch sizes for one engine, aggregated or not,",
        "and writes deployment files; ours is of TP, PP and copies, replays the scheduler for the",
        "nearest layouts and keeps every reason. It has no closed-form table of predictions, no",
        "search over GPU types and quantizations in one call, no 405B in 16 bits on 64 GPUs with",
        "pipeline stages, so these rows stand alone.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print and write the section; 1 if a row takes longer than asked."""
    load, peer = os.getloadavg()[0], os.environ.get("AICONFIGURATOR")
    version = None
    if peer:
        python = str(Path(peer).with_name("python"))
        ask = "from importlib.metadata import version; print(version('aiconfigurator'))"
        version = subprocess.check_output([python, "-c", ask], text=True).strip()
    rows = measure(peer)
    shown = {r.name: [round(r.ours.wall_s, 4), round(r.ours.cpu_s, 4)] for r in rows}
    print(json.dumps(shown, indent=1))
    page.write("Planner", section(rows, version, load))
    return int(any(r.asked_s and r.ours.wall_s > r.asked_s for r in rows))


if __name__ == "__main__":
    sys.exit(main())
