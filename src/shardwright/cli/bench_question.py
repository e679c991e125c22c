"""What a bench asks: the spec, its plan, the load and who judges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardwright.bench.run import Judge
    from shardwright.bench.scenario import Scenario
    from shardwright.cli.resolve import Resolved
    from shardwright.model.measured import Measured
    from shardwright.model.plan import Plan
    from shardwright.verify.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: the spec and its plan where there is a spec, and the folder of this bench."""

    resolved: Resolved | None
    plan: Plan | None
    folder: Path


def read_question(spec: Path | None, out: Path) -> Question:
    """Read the spec, if there is one, and make the folder of this bench."""
    out.mkdir(parents=True, exist_ok=True)
    if spec is None:
        return Question(resolved=None, plan=None, folder=out)
    from shardwright.cli.resolve import resolve
    from shardwright.planner.plan import make_plan

    resolved = resolve(spec)
    plan = make_plan(resolved.request, resolved.shape)
    return Question(resolved=resolved, plan=plan, folder=out)


def scenario_of(question: Question, requests: int | None, concurrency: int | None) -> Scenario:
    """The spec's load, or what the command line says instead."""
    from dataclasses import replace

    from shardwright.bench.scenario import scenario_for
    from shardwright.model.request import Slo, Workload

    request = question.resolved.request if question.resolved else None
    workload = request.workload if request else Workload(input_tokens=128, output_tokens=64)
    if concurrency:
        workload = replace(workload, concurrency=concurrency, requests_per_s=None)
    return scenario_for(workload, request.slo if request else Slo(), num_requests=requests)


def judge_of(question: Question) -> Judge:
    """Judge by the spec's objective, beside the prediction where the load is the planned one."""
    from shardwright.model.request import Slo
    from shardwright.verify.verdict import judge

    slo = question.resolved.request.slo if question.resolved else Slo()
    plan = question.plan

    def call(scenario: Scenario, measured: Measured) -> Verdict:
        asked = question.resolved.request.workload.concurrency if question.resolved else None
        is_planned_load = plan is not None and scenario.concurrency == asked
        return judge(
            measured,
            slo,
            predicted=plan.speed if plan and is_planned_load else None,
            num_gpus=plan.layout.num_gpus if plan else None,
            usd_per_hour=plan.cost.usd_per_hour if plan and plan.cost else None,
        )

    return call


def spec_text(question: Question) -> str | None:
    """The spec as written, for the report."""
    if question.resolved is None:
        return None
    return Path(question.resolved.loaded.source.file).read_text(encoding="utf-8")
