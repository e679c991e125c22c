"""One rehearsal to do: what the session is told, by the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.launch import LaunchPlan
from shardwright.rehearse.change import Change
from shardwright.rehearse.events import PhaseDone
from shardwright.rehearse.resolve import Surroundings
from shardwright.verify.attempts import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One rehearsal to do. deployed: the plan as it will be deployed; plan: what runs here.

    version: of the engine that runs here; nodes: how members are kept apart, for the report.
    timeout_s: for each start of the group. load: sends a load to (base URL, model, API key) of a
    group that started in these phases and says what came of it; None for none.
    """

    deployed: LaunchPlan
    plan: LaunchPlan
    changes: tuple[Change, ...]
    rules: Rehearsal
    around: Surroundings
    version: str
    vocab_size: int
    nodes: str
    timeout_s: float
    with_comparison: bool = True
    with_drill: bool = False
    load: Callable[[str, str, str | None, tuple[PhaseDone, ...]], tuple[Check, ...]] | None = None
