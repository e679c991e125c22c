"""A deployment for `-o json`: what was decided, each step beside its budget, how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shardwright.cli.cluster import change_json
from shardwright.deploy.target import Done, Event, Milestone, Moved
from shardwright.diagnose import doctor

if TYPE_CHECKING:
    from shardwright.deploy.changes import ObjectChange
    from shardwright.deploy.outcome import Outcome
    from shardwright.deploy.strategy import Strategy
    from shardwright.deploy.verification import Verification
    from shardwright.model.finding import Finding


def as_json(
    findings: tuple[Finding, ...], changes: tuple[ObjectChange, ...],
    strategy: Strategy | None, outcome: Outcome | None, told: Iterable[Event] = (),
) -> dict[str, Any]:  # fmt: skip
    """Shape a deployment. told: what happened, in order."""
    out: dict[str, Any] = {
        "findings": [
            {"code": f.code, "severity": f.severity.value, "what": f.what, "remedy": f.remedy}
            for f in findings
        ],
        "changes": [change_json(each) for each in changes],
    }
    if strategy is not None:
        out |= {"way": strategy.way.value, "reason": strategy.reason}
    if outcome is not None:
        found = outcome.verification
        out |= {
            "result": outcome.result.value,
            "revision": outcome.revision,
            "seconds": round(outcome.seconds, 1),
            "problems": list(outcome.problems),
            "rolledBackTo": outcome.rolled_back_to,
            "steps": steps_json(tuple(told)),
            "verified": verified_json(found) if found else None,
            "diagnosis": doctor.as_json(outcome.report) if outcome.report else None,
        }
    return out


def steps_json(told: tuple[Event, ...]) -> dict[str, Any]:
    """Shape what happened. A stage of a pod ends as the next begins; the last has no end. Seconds
    are since the start of the deployment; a budget is what the plan allows for the step.
    """
    stages: list[dict[str, Any]] = []
    current: dict[str, dict[str, Any]] = {}
    for event in told:
        if isinstance(event, Moved):
            name, start_s = event.pod.name, round(event.after_s, 1)
            if name in current:
                current[name]["endSeconds"] = start_s
            current[name] = {
                "pod": name,
                "node": event.pod.node,
                "stage": event.pod.stage.value,
                "detail": event.pod.detail,
                "startSeconds": start_s,
                "endSeconds": None,
                "budgetSeconds": event.budget_s,
            }
            stages.append(current[name])
    return {
        "applied": [change_json(each.change) for each in told if isinstance(each, Done)],
        "pods": stages,
        "ranks": [_rank_json(each) for each in told if isinstance(each, Milestone)],
    }


def _rank_json(reached: Milestone) -> dict[str, Any]:
    return {
        "pod": reached.pod,
        "ranks": list(reached.ranks),
        "step": reached.step.value,
        "detail": reached.detail,
        "startSeconds": round(reached.after_s - reached.took_s, 1),
        "endSeconds": round(reached.after_s, 1),
        "budgetSeconds": reached.budget_s,
    }


def verified_json(found: Verification) -> dict[str, Any]:
    """Shape what was verified: the record of the cluster, each answer, each rank."""
    return {
        **json.loads(found.as_text()),
        "checks": [
            {"name": c.name, "passed": c.passed, "detail": c.detail, "seconds": round(c.took_s, 3)}
            for c in found.checks
        ],
        "ranks": [
            {"rank": each.planned.index, "member": each.member, "seen": each.seen is not None,
             "differences": list(each.differences)}
            for each in found.ranks
        ],
    }  # fmt: skip
