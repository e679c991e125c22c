"""What is kept of a bench for calibration: what the engine did, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.bench.known_server import BY_SLO, SLO, TARGET, KnownServer, scenario

from shardwright.bench.records import Setting, read_lines, record, to_line
from shardwright.bench.run import measure
from shardwright.cli.resolve import resolve
from shardwright.planner.plan import make_plan
from shardwright.verify.verdict import judge

SPEC = Path(__file__).parents[3] / "examples" / "llama-3.1-70b.yaml"


@pytest.fixture(scope="module")
def setting():
    found = resolve(SPEC)
    plan = make_plan(found.request, found.shape)
    return Setting(request=found.request, plan=plan, engine_version="0.32.0", date="2026-11-27")


def test_a_load_is_a_row_of_means_in_milliseconds(setting):
    run = measure(KnownServer(), scenario(10), TARGET, "a", BY_SLO)
    [row] = read_lines(to_line(record(run, setting)))
    assert row["id"].endswith("-2026-11-27-10-8x10")  # load and lengths: two loads of a day differ
    # 2 ms a token and request in flight; 100 ms to the first token; 60 x 10 tokens in 10 s
    assert (float(row["tpot_ms"]), float(row["ttft_ms"])) == (20.0, 100.0)
    assert float(row["output_tokens_s_total"]) == 60.0 / setting.plan.layout.replicas
    assert (row["engine_version"], row["isl"], row["osl"]) == ("0.32.0", "8", "10")


def test_figures_of_the_client_or_of_a_proxy_are_not_kept(setting):
    run = measure(KnownServer(), scenario(10), TARGET, "a", BY_SLO)
    starved = replace(run.measured, concurrency=5, effective_concurrency=2.0)
    assert record(replace(run, verdict=judge(starved, SLO)), setting) is None
    whole = tuple(replace(sample, itl_s=0.0) for sample in run.measured.samples)
    collected = replace(run.measured, samples=whole)
    assert record(replace(run, verdict=judge(collected, SLO)), setting) is None
