"""What a rehearsal says of its bench: a verdict, two curves, and the page and what it holds."""

import base64
import re
from html import unescape
from pathlib import Path

from tests.unit.bench.known_server import BY_SLO, SLO, TARGET, KnownServer, scenario

from shardwright.bench.page import html
from shardwright.bench.report import Bench, markdown
from shardwright.bench.run import measure, swept
from shardwright.cli.bench_question import Question
from shardwright.cli.bench_target import Aim
from shardwright.cli.rehearse_bench import bench_of, summary
from shardwright.cli.resolve import resolve
from shardwright.engines import find_engine
from shardwright.launch.build import build_launch_plan
from shardwright.planner.plan import make_plan
from shardwright.rehearse.events import PhaseDone
from shardwright.rehearse.scene import Scene

SPEC = Path(__file__).parents[3] / "examples" / "llama-3.1-405b.yaml"


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


def phase(name, member, at_s):
    return PhaseDone(
        member=member, process="vllm", phase=name, at_s=at_s, took_s=1.0, budget_s=60.0
    )


def rehearsed():
    resolved = resolve(SPEC)
    plan = make_plan(resolved.request, resolved.shape)
    launch = build_launch_plan(resolved.request, resolved.shape, plan)
    scene = Scene(
        deployed=launch, plan=launch, changes=(), rules=find_engine("vllm").rehearsal, env=(),
        version="0.32.0", vocab_size=8, model_path="/m", is_isolated=False,
    )  # fmt: skip
    question = Question(resolved=resolved, plan=plan, slo=SLO, folder=Path("out"))
    found = swept([measure(KnownServer(), scenario(n), TARGET, "a", BY_SLO) for n in (1, 50)])
    phases = (phase("load", 0, 28.0), phase("load", 1, 30.0), phase("ready", 0, 60.0))
    aim = Aim(tool=KnownServer(), target=TARGET, facts=())
    return bench_of(found, aim, question, scene, phases)


def test_the_page_holds_spec_plan_topology_and_start_and_says_what_its_figures_are_of():
    bench = rehearsed()
    page = html(bench)
    told = re.findall(r"<h2>([^<]*)</h2>", page)
    assert [t for t in told if t in ("Start-up", "Topology", "Plan", "Spec")] == [
        "Start-up", "Topology", "Plan", "Spec",
    ]  # fmt: skip
    assert SPEC.read_text() in unescape(page)
    assert "Llama-3.1-405B-Instruct-FP8 on H200-SXM, vllm: TP=8 PP=2, 16 GPUs on 2 nodes" in page
    [picture] = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert b"<svg" in base64.b64decode(picture)
    # the slowest member counts: 30 s of loading, then 30 s more
    assert [(s.name, s.start_s, s.end_s) for s in bench.startup] == [
        ("load", 0.0, 30.0), ("ready", 30.0, 60.0),
    ]  # fmt: skip
    note = "members as processes side by side, with a small model on CPUs"
    assert note in page
    assert note in markdown(bench)
