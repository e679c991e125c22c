"""How far each pod of an endpoint is, from what the API server says. Pure; called by the rollout.

A start has phases: scheduled, image, weights (init containers), start (until the readiness probe
passes). Each has a budget; a pod that outlasts it, or fails again and again, is stuck.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from shardwright.model.cluster import Object
from shardwright.model.launch import Budgets
from shardwright.model.process import Phase as Milestone

SCHEDULE_BUDGET_S = 300
"""Seconds a pod may wait for a node; longer than any scheduler takes, shorter than a person's
patience. A cluster autoscaler that adds nodes is the exception: see `--schedule-timeout`."""

MAX_RESTARTS = 2
"""A container that failed more often than this will not start by waiting longer."""

REFUSED_IMAGE_S = 60
"""A registry that refused for so long will go on: a wrong name, or no right to it."""

_WILL_NOT_START = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "InvalidImageName",
        "RunContainerError",
    }
)
_RETRIED = frozenset({"ErrImagePull", "ImagePullBackOff"})


class Stage(Enum):
    """Where a pod is, in order."""

    SCHEDULING = "scheduling"
    IMAGE = "image"
    WEIGHTS = "weights"
    STARTING = "starting"
    READY = "ready"


UNSTARTED = (Stage.SCHEDULING, Stage.IMAGE)
"""Stages of a pod of which no container has run yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodProgress:
    """One pod. detail: why it waits, in Kubernetes' or the engine's words; broken: it will not."""

    name: str
    node: str | None
    stage: Stage
    detail: str = ""
    restarts: int = 0
    is_broken: bool = False


def stage_budgets(budgets: Budgets, schedule_s: float = SCHEDULE_BUDGET_S) -> dict[Stage, float]:
    """Return the seconds that each stage may take."""
    return {
        Stage.SCHEDULING: schedule_s,
        Stage.IMAGE: budgets.image_pull_s,
        Stage.WEIGHTS: budgets.download_s,
        Stage.STARTING: budgets.startup_s,
    }


def pod_progress(pod: Object) -> PodProgress:
    """Read how far a pod is."""
    status = pod.get("status", {})
    inits = status.get("initContainerStatuses", [])
    mains = status.get("containerStatuses", [])
    restarts = sum(each.get("restartCount", 0) for each in (*inits, *mains))
    stage, detail = _stage(status, inits, mains)
    waiting = {_waiting(each) for each in (*inits, *mains)}
    broken = bool(waiting & _WILL_NOT_START) or restarts > MAX_RESTARTS
    if status.get("phase") == "Failed":
        broken, detail = True, status.get("message", "") or status.get("reason", "") or detail
    return PodProgress(
        name=pod["metadata"]["name"],
        node=pod.get("spec", {}).get("nodeName"),
        stage=stage,
        detail=detail,
        restarts=restarts,
        is_broken=broken and stage is not Stage.READY,
    )


def _stage(status: Object, inits: list[Object], mains: list[Object]) -> tuple[Stage, str]:
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    if conditions.get("Ready", {}).get("status") == "True":
        return Stage.READY, ""
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") != "True":
        return Stage.SCHEDULING, scheduled.get("message", "")
    for each in (*inits, *mains):
        if _waiting(each) in _RETRIED | _WILL_NOT_START:
            return Stage.IMAGE, _why_waiting(each)
    if not inits and not mains:
        return Stage.IMAGE, ""
    unfinished = [each for each in inits if not _is_done(each)]
    if unfinished:
        first = unfinished[0]
        started = "running" in first.get("state", {}) or first.get("restartCount", 0)
        return (Stage.WEIGHTS, first["name"]) if started else (Stage.IMAGE, "")
    for each in mains:
        if "waiting" in each.get("state", {}):
            again = each.get("restartCount", 0) or _waiting(each) == "CrashLoopBackOff"
            return (Stage.STARTING if again else Stage.IMAGE), _why_waiting(each)
    failed = [each for each in mains if each.get("restartCount", 0)]
    return Stage.STARTING, _last_end(failed[0]) if failed else ""


def _is_done(container: Object) -> bool:
    """Tell whether an init container ended well, or is a sidecar that runs."""
    ended = container.get("state", {}).get("terminated")
    return (ended is not None and ended.get("exitCode") == 0) or bool(container.get("started"))


def _waiting(container: Object) -> str:
    return str(container.get("state", {}).get("waiting", {}).get("reason", ""))


def _why_waiting(container: Object) -> str:
    waiting = container.get("state", {}).get("waiting", {})
    return _last_end(container) or ": ".join(
        part for part in (waiting.get("reason", ""), waiting.get("message", "")) if part
    )


def _last_end(container: Object) -> str:
    ended = container.get("lastState", {}).get("terminated")
    if not ended:
        return ""
    again = container.get("restartCount", 0)
    why = ended.get("reason", "")
    return f"{container['name']} ended with {ended.get('exitCode')} ({why}), restart {again}"


def milestone(log: str, milestones: tuple[Milestone, ...]) -> str | None:
    """Name the last milestone of the engine's start that a log shows; None before the first."""
    reached = [each.name for each in milestones if re.search(each.pattern, log, re.MULTILINE)]
    return reached[-1] if reached else None


def stuck(
    pods: Mapping[str, PodProgress], since: Mapping[str, float], now: float,
    budgets: Mapping[Stage, float],
) -> tuple[str, ...]:  # fmt: skip
    """Say which pods will not become ready: broken, or longer in a stage than its budget.

    since: when each pod entered its stage, on the same clock as now.
    """
    out = []
    for name, pod in sorted(pods.items()):
        if pod.is_broken:
            out.append(f"{name}: {pod.detail or 'failed'}")
        elif pod.stage is not Stage.READY and now - since[name] > _budget(pod, budgets):
            text = f"{name}: {pod.stage.value} for {now - since[name]:.0f} s"
            limit = f"budget {_budget(pod, budgets):.0f} s"
            out.append(f"{text}, {limit}; {pod.detail}".rstrip("; "))
    return tuple(out)


def _budget(pod: PodProgress, budgets: Mapping[Stage, float]) -> float:
    if pod.stage is Stage.IMAGE and pod.detail.startswith(tuple(_RETRIED)):
        return min(REFUSED_IMAGE_S, budgets[Stage.IMAGE])
    return budgets[pod.stage]
