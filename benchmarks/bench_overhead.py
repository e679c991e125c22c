"""What `shardwright bench` adds to what bare AIPerf measures: paired runs of one load.

    make bench-overhead

Two servers, the CPU engine of a rehearsal and one whose delays are set, are loaded by AIPerf alone
and by AIPerf under `shardwright bench`, in turn and in alternating order, with the same
configuration and the same prompts. Server and load have cores of their own: sharing them, the
engine of a small machine differs by 10 % from run to run. Printed and written to
docs/bench-overhead.md: the ratio of what each pair measured, its mean over pairs and the 95 %
interval; and the CPU time of our own process while AIPerf ran.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from shardwright.bench.aiperf import Target, aiperf_config
from shardwright.bench.scenario import Scenario
from shardwright.cli.bench_tool import find_aiperf
from shardwright.rehearse.tokenizer import files
from shardwright.verify.repeats import interval
from shardwright.verify.verdict import Outcome

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from real_engine import real_engine  # noqa: E402
from slow_server import slow_server  # noqa: E402

PAGE = ROOT / "docs" / "bench-overhead.md"
DATA = ROOT / "benchmarks" / "data" / "overhead"
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
ONE_BY_ONE = Scenario(  # on few cores an engine and its load tool disturb each other
    concurrency=1, requests_per_s=None, input_tokens=64, output_tokens=16, prefix_tokens=0,
    num_requests=120, num_warmup=1,
)  # fmt: skip
TWO_AT_ONCE = replace(ONE_BY_ONE, concurrency=2, num_requests=100, num_warmup=2)
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
    """Ratios of bench over bare by figure, one a pair; num_pairs may be more than a figure has.

    own_cpu_s, aiperf_cpu_s: CPU seconds of each bench: of our process while AIPerf ran, of AIPerf.
    """

    server: str
    load: str
    lengths: str
    date: str
    num_cores: int
    load_average: float
    num_pairs: int
    ratios: dict[str, list[float]]
    own_cpu_s: list[float]
    aiperf_cpu_s: list[float]


def main() -> int:
    """Run the pairs, print the table, write the page; 1 if a figure is surely over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--server", choices=("engine", "known", "both"), default="both")
    asked = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        if asked.server != "known":
            keep("engine", on_engine(Path(folder), asked.pairs, before))
        if asked.server != "engine":
            keep("known", on_known(Path(folder), asked.pairs, before))
    kept = tuple(Pairs(**json.loads(file.read_text())) for file in sorted(DATA.glob("*.json")))
    PAGE.write_text(page(kept), encoding="utf-8")
    print(page(kept))
    found = [interval(ratios) for pairs in kept for ratios in costs(pairs) if ratios]
    return int(any(each.low - 1 > LIMIT for each in found if each))


def keep(name: str, pairs: Pairs) -> None:
    """Keep what was measured, so that the page can be made of two measurements."""
    DATA.mkdir(exist_ok=True)
    text = json.dumps(asdict(pairs), indent=2, sort_keys=True)
    (DATA / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def on_engine(place: Path, num_pairs: int, before: float) -> Pairs:
    """Measure on the CPU engine of a rehearsal."""
    spec = place / "spec.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    with real_engine(spec) as engine, apart():
        target = Target(url=engine["url"], model=engine["model"], tokenizer=engine["tokenizer"])
        ratios = measure(place / "engine", ONE_BY_ONE, target, num_pairs)
    return described(ENGINE, ONE_BY_ONE, before, ratios)


def on_known(place: Path, num_pairs: int, before: float) -> Pairs:
    """Measure on the server whose delays are set."""
    tokenizer = place / "tokenizer"
    tokenizer.mkdir()
    for name, content in files(4096).items():
        (tokenizer / name).write_text(json.dumps(content))
    with slow_server("--ttft", "0.1", "--itl", "0.02") as url, apart():
        target = Target(url=url, model="slow", tokenizer=str(tokenizer))
        ratios = measure(place / "known", TWO_AT_ONCE, target, num_pairs)
    return described(KNOWN, TWO_AT_ONCE, before, ratios)


def described(server: str, scenario: Scenario, before: float, runs: Runs) -> Pairs:
    """Say what was measured, when, and on what."""
    return Pairs(
        server=server,
        load=f"{scenario.num_requests} requests at {scenario.load}",
        lengths=scenario.lengths,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        num_cores=os.cpu_count() or 1,
        load_average=round(before, 1),
        num_pairs=len(runs.own_cpu_s),
        ratios=runs.ratios,
        own_cpu_s=runs.own_cpu_s,
        aiperf_cpu_s=runs.aiperf_cpu_s,
    )


@contextmanager
def apart() -> Iterator[None]:
    """Keep the server, which runs already, and the load off each other's cores."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("this takes two cores: one for the server, the rest for the load")
    for pid in descendants(os.getpid()):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores[:1])
    os.sched_setaffinity(0, cores[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def descendants(pid: int) -> list[int]:
    """Every process below one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


@dataclass(slots=True)
class Runs:
    """What comes of the pairs, as it comes. A figure that is 0 on either side has no ratio."""

    ratios: dict[str, list[float]]
    own_cpu_s: list[float]
    aiperf_cpu_s: list[float]


def measure(place: Path, scenario: Scenario, target: Target, num_pairs: int) -> Runs:
    """Run both sides in turn."""
    place.mkdir()
    runs = Runs(ratios={name: [] for name in FIGURES}, own_cpu_s=[], aiperf_cpu_s=[])
    for number in range(num_pairs):
        found = {}
        for side in ("bare", "bench") if number % 2 == 0 else ("bench", "bare"):
            folder = place / f"{side}-{number}"
            if side == "bare":
                found[side] = bare(folder, scenario, target)
            else:
                found[side], own, children = bench(folder, scenario, target)
                runs.own_cpu_s.append(own)
                runs.aiperf_cpu_s.append(children)
        add(runs.ratios, found["bare"], found["bench"])
        last = {FIGURES[name][1]: r[-1] - 1 for name, r in runs.ratios.items() if r}
        told = ", ".join(f"{words} {by:+.1%}" for words, by in last.items())
        print(f"pair {number + 1}: {told}", flush=True)
    return runs


def add(ratios: dict[str, list[float]], bare: dict, bench: dict) -> None:
    """Add the ratios of one pair; a median is moved less by what else the machine does."""
    for name, (kind, _) in FIGURES.items():
        if bare[name][kind] and bench[name][kind]:
            ratios[name].append(bench[name][kind] / bare[name][kind])


def bare(place: Path, scenario: Scenario, target: Target) -> dict:
    """AIPerf alone."""
    place.mkdir()
    config = place / "aiperf.json"
    config.write_text(json.dumps(aiperf_config(scenario, target, str(place))))
    command = [find_aiperf(print), "profile", "--config", config]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"aiperf ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads((place / "profile_export_aiperf.json").read_text())


def bench(place: Path, scenario: Scenario, target: Target) -> tuple[dict, float, float]:
    """The same load by the command as users run it; CPU seconds, ours while AIPerf ran and its."""
    words = [
        "bench", target.url, "--tokenizer", target.tokenizer, "--no-record", "--out", str(place),
        "--concurrency", str(scenario.concurrency), "--requests", str(scenario.num_requests),
        "--input-tokens", str(scenario.input_tokens), "--output-tokens",
        str(scenario.output_tokens),
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


def page(measured: tuple[Pairs, ...]) -> str:
    """Write the page."""
    rows = []
    for pairs in measured:
        when = f"{pairs.date}, {pairs.num_cores} cores, load average {pairs.load_average} before"
        rows.append(f"| {pairs.server}; {pairs.load}, {pairs.lengths}; {when} | | |")
        for name, ratios in pairs.ratios.items():
            if len(ratios) < pairs.num_pairs:
                rows.append(f"| · {FIGURES[name][1]} | | answers came in one piece |")
                continue
            known = interval(ratios)
            bounds = f"{known.low - 1:+.1%} to {known.high - 1:+.1%}" if known else "one pair"
            rows.append(f"| · {FIGURES[name][1]} | {fmean(ratios) - 1:+.1%} | {bounds} |")
    own = fmean(s for pairs in measured for s in pairs.own_cpu_s)
    aiperf = fmean(s for pairs in measured for s in pairs.aiperf_cpu_s)
    return f"""# What bench adds to AIPerf

Written by `make bench-overhead`: {measured[0].num_pairs} pairs of runs, AIPerf alone and AIPerf
under `shardwright bench`, in alternating order, against each of two servers, the same prompts in
every run. The server has one core, the load the rest.

| | bench over bare AIPerf | 95 % interval over pairs |
|---|---:|---:|
{chr(10).join(rows)}

The interval is as wide as the machine's own runs differ from each other. While AIPerf ran, our
process slept: it used {own * 1e3:.0f} ms of CPU time a run, AIPerf and its workers {aiperf:.1f} s.
"""


if __name__ == "__main__":
    sys.exit(main())
