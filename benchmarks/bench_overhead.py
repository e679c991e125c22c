"""What `shardwright bench` adds to what bare AIPerf measures: paired runs of one load.

    make bench-overhead

Two servers, the CPU engine of a rehearsal and one whose delays are set, are loaded by AIPerf alone
and by AIPerf under `shardwright bench`, in turn and in alternating order, with the same
configuration and the same prompts. Printed and written to docs/bench-overhead.md: the ratio of what
each pair measured, its mean over pairs and the 95 % interval; and the CPU time of our own process
while AIPerf ran.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from shardwright.bench.aiperf import Target, aiperf_config
from shardwright.bench.scenario import Scenario
from shardwright.cli.bench_tool import find_aiperf
from shardwright.verify.repeats import interval
from shardwright.verify.verdict import Outcome

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from real_engine import real_engine  # noqa: E402
from slow_server import slow_server  # noqa: E402

PAGE = ROOT / "docs" / "bench-overhead.md"
LIMIT = 0.02
ENGINE = "the CPU engine (vLLM, one rank, a shrunken Llama 3.1 8B)"
KNOWN = "a server whose delays are set: 100 ms to the first token, 20 ms between tokens"
JUDGED = frozenset(outcome.exit_code for outcome in Outcome)
FIGURES = {
    "time_to_first_token": ("p50", "median time to first token"),
    "inter_token_latency": ("p50", "median time between tokens"),
    "request_latency": ("p50", "median time of a request"),
    "output_token_throughput": ("avg", "output tokens/s"),
}
SCENARIO = Scenario(
    concurrency=2, requests_per_s=None, input_tokens=64, output_tokens=16, prefix_tokens=0,
    num_requests=100, num_warmup=2,
)  # fmt: skip
SPEC = """apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {name: llama-8b}
spec:
  model: {id: meta-llama/Llama-3.1-8B-Instruct}
  cluster: {gpu: H100-SXM, gpusPerNode: 8, nodes: 1}
  parallelism: {tensor: 1, pipeline: 1}
  workload: {inputTokens: 64, outputTokens: 16, concurrency: 2}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Ratios of bench over bare by figure, one a pair. CPU seconds of each bench: of our process
    while AIPerf ran, and of AIPerf.
    """

    server: str
    ratios: dict[str, list[float]]
    own_cpu_s: list[float]
    aiperf_cpu_s: list[float]


def main() -> int:
    """Run the pairs, print the table, write the page; 1 if a figure is surely over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.yaml"
        spec.write_text(SPEC, encoding="utf-8")
        with real_engine(spec) as engine:
            target = Target(url=engine["url"], model=engine["model"], tokenizer=engine["tokenizer"])
            real = measure(Path(folder) / "real", ENGINE, target, asked.pairs)
        with slow_server("--ttft", "0.1", "--itl", "0.02") as url:
            target = Target(url=url, model="slow", tokenizer=engine["tokenizer"])
            known = measure(Path(folder) / "known", KNOWN, target, asked.pairs)
    text = page((real, known), load)
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    found = [interval(ratios) for pairs in (real, known) for ratios in costs(pairs)]
    return int(any(each.low - 1 > LIMIT for each in found if each))


def measure(place: Path, server: str, target: Target, num_pairs: int) -> Pairs:
    """Run both sides in turn."""
    place.mkdir()
    ratios = {name: [] for name in FIGURES}
    pairs = Pairs(server=server, ratios=ratios, own_cpu_s=[], aiperf_cpu_s=[])
    for number in range(num_pairs):
        found = {}
        for side in ("bare", "bench") if number % 2 == 0 else ("bench", "bare"):
            folder = place / f"{side}-{number}"
            if side == "bare":
                found[side] = bare(folder, target)
            else:
                found[side], own, children = bench(folder, target)
                pairs.own_cpu_s.append(own)
                pairs.aiperf_cpu_s.append(children)
        for name, values in ratios.items():
            kind = FIGURES[name][0]  # a median is moved less by what else the machine does
            values.append(found["bench"][name][kind] / found["bare"][name][kind])
        told = ", ".join(f"{FIGURES[n][1]} {r[-1] - 1:+.1%}" for n, r in ratios.items())
        print(f"pair {number + 1}: {told}", flush=True)
    return pairs


def bare(place: Path, target: Target) -> dict:
    """AIPerf alone."""
    place.mkdir()
    config = place / "aiperf.json"
    config.write_text(json.dumps(aiperf_config(SCENARIO, target, str(place))))
    command = [find_aiperf(print), "profile", "--config", config]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"aiperf ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads((place / "profile_export_aiperf.json").read_text())


def bench(place: Path, target: Target) -> tuple[dict, float, float]:
    """The same load by the command as users run it, and CPU seconds: ours while AIPerf ran, AIPerf's."""
    words = [
        "bench", target.url, "--tokenizer", target.tokenizer, "--no-record", "--out", str(place),
        "--concurrency", str(SCENARIO.concurrency), "--requests", str(SCENARIO.num_requests),
        "--input-tokens", str(SCENARIO.input_tokens), "--output-tokens",
        str(SCENARIO.output_tokens),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", TIMED, *words], check=False, capture_output=True, text=True
    )
    if done.returncode not in JUDGED:  # a verdict of any kind is a run; anything else is none
        sys.exit(f"shardwright bench ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    own, children = (float(n) for n in done.stderr.splitlines()[-1].split())
    summary = (place / "run" / "profile_export_aiperf.json").read_text()
    return json.loads(summary), own, children


TIMED = """
import os, sys
from shardwright.cli.main import main
from shardwright.drive import aiperf
inner, used = aiperf.AiperfProcess._run, []
def timed(*args, **kwargs):
    before = os.times()
    code = inner(*args, **kwargs)
    after = os.times()
    used.append(after.user + after.system - before.user - before.system)
    used.append(after.children_user + after.children_system)
    return code
aiperf.AiperfProcess._run = timed
try:
    main()
finally:
    print(*used, file=sys.stderr)
"""


def costs(pairs: Pairs) -> list[list[float]]:
    """Ratios that are above 1 where bench costs something."""
    return [
        [1 / r for r in ratios] if name == "output_token_throughput" else ratios
        for name, ratios in pairs.ratios.items()
    ]


def page(both: tuple[Pairs, ...], load: float) -> str:
    """Write the page."""
    num = len(both[0].own_cpu_s)
    rows = []
    for pairs in both:
        rows.append(f"| {pairs.server} | | |")
        for name, ratios in pairs.ratios.items():
            known = interval(ratios)
            bounds = f"{known.low - 1:+.1%} to {known.high - 1:+.1%}" if known else "one pair"
            rows.append(f"| · {FIGURES[name][1]} | {fmean(ratios) - 1:+.1%} | {bounds} |")
    own = fmean(s for pairs in both for s in pairs.own_cpu_s)
    aiperf = fmean(s for pairs in both for s in pairs.aiperf_cpu_s)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"""# What bench adds to AIPerf

Written by `make bench-overhead`: {num} pairs of runs, AIPerf alone and AIPerf under
`shardwright bench`, in alternating order, against two servers: {SCENARIO.num_requests} requests
at {SCENARIO.load}, {SCENARIO.lengths}, the same prompts in every run.
{today}, {os.cpu_count()} cores, load average {load:.1f} at the start.

| | bench over bare AIPerf | 95 % interval over pairs |
|---|---:|---:|
{chr(10).join(rows)}

The interval is as wide as the machine's own runs differ from each other. While AIPerf ran, our
process slept: it used {own * 1e3:.0f} ms of CPU time a run, AIPerf and its workers {aiperf:.1f} s.
"""


if __name__ == "__main__":
    sys.exit(main())
