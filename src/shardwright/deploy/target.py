"""What is being deployed, and what a deployment tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shardwright.deploy.changes import ObjectChange
from shardwright.deploy.progress import SCHEDULE_BUDGET_S, PodProgress
from shardwright.engines import find_engine
from shardwright.engines.reading import Reading
from shardwright.model.launch import Budgets, LaunchPlan, Rank
from shardwright.verify.ranklog import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An endpoint: its name, how many pods serve it, and how long a start may take.

    ranks: those of each member of a group, member 0 first; reading: how the engine's log tells of
    them, None if it does not; container: the one that the engine runs in.
    may_have_more: something else adds pods to those while the load is high.
    """

    name: str
    namespace: str
    num_pods: int
    budgets: Budgets
    schedule_s: float = SCHEDULE_BUDGET_S
    ranks: tuple[tuple[Rank, ...], ...] = ()
    reading: Reading | None = None
    container: str = ""
    may_have_more: bool = False


def target_of(plan: LaunchPlan, schedule_s: float = SCHEDULE_BUDGET_S) -> Target:
    """Say what a launch plan deploys."""
    return Target(
        name=plan.name,
        namespace=plan.namespace,
        num_pods=plan.replicas * len(plan.group.members),
        budgets=plan.budgets,
        schedule_s=schedule_s,
        ranks=tuple(member.ranks for member in plan.group.members),
        reading=find_engine(plan.engine).reading,
        container=plan.engine,
        may_have_more=plan.scaling is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A pod entered a stage. after_s: since the objects were applied; budget_s: of the stage."""

    pod: PodProgress
    after_s: float
    budget_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """Ranks of one pod reached a step of their start. took_s: since the one before."""

    pod: str
    ranks: tuple[int, ...]
    step: Step
    detail: str
    after_s: float
    took_s: float
    budget_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Nothing new; what is being waited for, how long it took so far, how long it may take."""

    what: str
    after_s: float
    since_s: float
    budget_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Something was done to an object."""

    change: ObjectChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A sentence about the sequence itself."""

    text: str


Event = Moved | Milestone | Waiting | Done | Told
Tell = Callable[[Event], None]
