"""What `shardwright bench` adds to what bare AIPerf measures: paired runs of one load.

    make bench-overhead

A local server with set delays is loaded by AIPerf alone and by AIPerf under `shardwright bench`,
in turn and in alternating order, with the same configuration. Printed: the ratio of the means each
pair measured, its mean over pairs and the 95 % interval; and the wall time of each side.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

from shardwright.bench.aiperf import Target, aiperf_config
from shardwright.bench.scenario import Scenario
from shardwright.cli.bench_tool import find_aiperf
from shardwright.rehearse.tokenizer import files
from shardwright.verify.repeats import interval
from shardwright.verify.verdict import Outcome

ROOT = Path(__file__).parents[1]
JUDGED = frozenset(outcome.exit_code for outcome in Outcome)
FIGURES = (
    "time_to_first_token",
    "inter_token_latency",
    "request_latency",
    "output_token_throughput",
)


def main() -> None:
    """Run the pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=120)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tokenizer = place / "tokenizer"
        tokenizer.mkdir()
        for name, content in files(4096).items():
            (tokenizer / name).write_text(json.dumps(content))
        server = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "integration" / "slow_server.py", "0",
             "--ttft", "0.1", "--itl", "0.02"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            port = server.stdout.readline().split()[-1]
            report(place, f"http://127.0.0.1:{port}", tokenizer, asked)
        finally:
            server.terminate()


def report(place: Path, url: str, tokenizer: Path, asked: argparse.Namespace) -> None:
    """Run both sides in turn and print how they compare."""
    ratios: dict[str, list[float]] = {name: [] for name in FIGURES}
    walls: dict[str, list[float]] = {"bare": [], "bench": []}
    for pair in range(asked.pairs):
        found = {}
        for side in ("bare", "bench") if pair % 2 == 0 else ("bench", "bare"):
            began = time.monotonic()
            found[side] = (bare if side == "bare" else bench)(
                place / f"{side}-{pair}", url, tokenizer, asked.requests
            )
            walls[side].append(time.monotonic() - began)
        for name in FIGURES:
            ratios[name].append(found["bench"][name]["avg"] / found["bare"][name]["avg"])
        print(f"pair {pair + 1}: " + ", ".join(f"{n} {r[-1] - 1:+.2%}" for n, r in ratios.items()))
    for name, values in ratios.items():
        known = interval(values)
        bounds = f" ({known.low - 1:+.2%} to {known.high - 1:+.2%})" if known else ""
        print(f"{name:<26} bench over bare {fmean(values) - 1:+.2%}{bounds}")
    for side, values in walls.items():
        print(f"wall, {side:<20} {fmean(values):.1f} s a run")


def bare(place: Path, url: str, tokenizer: Path, requests: int) -> dict:
    """AIPerf alone."""
    place.mkdir()
    scenario = Scenario(
        concurrency=4, requests_per_s=None, input_tokens=64, output_tokens=16, prefix_tokens=0,
        num_requests=requests, num_warmup=4,
    )  # fmt: skip
    target = Target(url=url, model="slow", tokenizer=str(tokenizer))
    config = place / "aiperf.json"
    config.write_text(json.dumps(aiperf_config(scenario, target, str(place))))
    command = [find_aiperf(print), "profile", "--config", config]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"aiperf ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads((place / "profile_export_aiperf.json").read_text())


def bench(place: Path, url: str, tokenizer: Path, requests: int) -> dict:
    """The same load by the command as users run it."""
    command = [
        sys.executable, "-m", "shardwright", "bench", url, "--concurrency", "4", "--requests",
        str(requests), "--input-tokens", "64", "--output-tokens", "16", "--tokenizer", tokenizer,
        "--out", place, "--no-record",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode not in JUDGED:  # a verdict of any kind is a run; anything else is none
        sys.exit(f"shardwright bench ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads((place / "run" / "profile_export_aiperf.json").read_text())


if __name__ == "__main__":
    main()
