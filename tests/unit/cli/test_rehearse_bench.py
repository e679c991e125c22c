"""What a rehearsal says of its bench: a verdict, two curves, and where the page is."""

from pathlib import Path

from tests.unit.bench.known_server import BY_SLO, TARGET, KnownServer, scenario

from shardwright.bench.report import Bench
from shardwright.bench.run import measure, swept
from shardwright.cli.rehearse_bench import summary


def test_the_verdict_the_curves_and_the_page_fit_a_narrow_terminal():
    # 2 ms a token and request: 2 and 100 ms against 50; 10 tokens each of 60 requests in 10 s
    loads = [measure(KnownServer(), scenario(n), TARGET, "a", BY_SLO) for n in (1, 50)]
    found = swept(loads)
    bench = Bench(name="m", runs=found.runs, outcome=found.outcome, is_sweep=True, best=found.best)
    lines = summary(bench, Path("rehearsals/m/bench/report.html"))
    assert lines == [
        "bench: PASS for this machine's CPUs; of GPUs it says nothing",
        "  TTFT p95   ▁▁  100 to 100 ms",
        "  ITL p95    ▁█  2 to 100 ms, objective 50 ms",
        "  tokens/s   ▁▁  60 to 60, at 1, 50 requests at once",
        "  page: rehearsals/m/bench/report.html",
    ]
    assert max(map(len, lines)) <= 72
