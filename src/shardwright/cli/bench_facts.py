"""What a report says besides the measurement: the plan, advice on a miss, all versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shardwright.bench.report import Bench
    from shardwright.bench.run import Run
    from shardwright.cli.bench_question import Question
    from shardwright.cli.bench_target import Aim


def planned(question: Question) -> dict[str, Any]:
    """The plan in words and its topology, where there is a spec."""
    if question.resolved is None or question.plan is None:
        return {}
    from shardwright.cli.plan import draw
    from shardwright.launch.build import build_launch_plan
    from shardwright.planner.explain import explain

    resolved, plan = question.resolved, question.plan
    launch = build_launch_plan(resolved.request, resolved.shape, plan)
    return {
        "plan": explain(resolved.request, resolved.shape, plan),
        "topology_svg": draw(resolved, launch, "svg"),
    }


def advice_of(question: Question, bench: Bench) -> tuple[str, ...]:
    """What would mend a missed objective, or why nothing can be advised."""
    from shardwright.bench.repair import repairs, too_far_off
    from shardwright.verify.verdict import Outcome

    missed = [r for r in bench.runs if any(t.outcome is Outcome.FAIL for t in r.verdict.terms)]
    if bench.outcome is not Outcome.FAIL or not missed:
        return ()
    if question.resolved is None or question.plan is None:
        return ("pass the spec with --spec, and the planner says what would mend it",)
    run = missed[0]
    off = too_far_off(run.verdict)
    if off is not None:
        return (f"no advice: {off}",)
    request = question.predictor.asked(run.scenario) if question.predictor else None
    if request is None:
        return ()
    found = repairs(request, question.resolved.shape, question.plan, run.verdict)
    if found and not found[0].meets:
        return (f"nothing the planner knows would meet it; nearest: {found[0].sentence()}",)
    return tuple(repair.sentence() for repair in found)


def other_model(bench: Bench, aim: Aim) -> tuple[str, ...]:
    """What to do where the endpoint began to serve another model during the load."""
    from shardwright.bench.failure import is_model_unknown

    if not any(is_model_unknown(run.measured.errors, aim.target.model) for run in bench.runs):
        return ()
    served = ", ".join(aim.served())
    return (f"bench it again: it serves {served} now, and no longer {aim.target.model}",)


def surroundings(aim: Aim, run: Run) -> tuple[tuple[str, str], ...]:
    """Where, when, with what: everything a figure of a bench depends on."""
    import datetime
    import os
    import platform

    from shardwright import __version__

    measured, target = run.measured, aim.target
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    here = f"{platform.system()} {platform.release()} {platform.machine()}"
    found = [
        ("date", now),
        ("endpoint", target.url),
        ("model", target.model),
        ("engine", aim.engine),
        *aim.facts,
        ("tokenizer", target.tokenizer),
        ("load tool", f"{measured.tool} {measured.tool_version or ''}".strip()),
        ("load", f"{run.scenario.load}, {run.scenario.lengths}, seed {run.scenario.seed}"),
        ("result files", run.folder),
        ("shardwright", __version__),
        ("python", platform.python_version()),
        ("this machine", f"{here}, {os.cpu_count()} CPUs"),
    ]
    return tuple((name, value) for name, value in found if value)
