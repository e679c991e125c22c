"""Quantities the plan predicted beside those the engine reported: difference in percent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shardwright.model.launch import LaunchPlan
from shardwright.model.plan import Plan
from shardwright.verify.ranklog import RankLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One number of the plan and what was seen; None where one of them is not known.

    unit: bytes or tokens.
    """

    name: str
    unit: str
    planned: int | None
    seen: int | None

    @property
    def difference_percent(self) -> float | None:
        """By how much what was seen is above the plan.

        >>> Quantity(name="KV cache", unit="tokens", planned=200, seen=190).difference_percent
        -5.0
        """
        if not self.planned or self.seen is None:
            return None
        return round((self.seen - self.planned) / self.planned * 100, 2)


def quantities(launch: LaunchPlan, plan: Plan, log: RankLog) -> tuple[Quantity, ...]:
    """Hold what a group's log says against the plan: per stage, and the tokens that fit."""
    return (
        *_per_stage(launch, plan, log),
        Quantity(name="KV cache", unit="tokens", planned=plan.kv_tokens, seen=log.kv_tokens),
    )


def _per_stage(launch: LaunchPlan, plan: Plan, log: RankLog) -> Iterator[Quantity]:
    planned = {memory.stage: memory for memory in plan.memory}
    ranks = [rank for member in launch.group.members for rank in member.ranks]
    for stage in sorted({rank.pipeline for rank in ranks}):
        facts = [log.facts[rank.index] for rank in ranks if rank.pipeline == stage]
        memory = planned.get(stage)
        weights = [each.weights_bytes for each in facts if each.weights_bytes is not None]
        graphs = [each.graphs_bytes for each in facts if each.graphs_bytes is not None]
        yield Quantity(
            name=f"weights, fullest rank of stage {stage}",
            unit="bytes",
            planned=memory.weights_bytes if memory else None,
            seen=max(weights, default=None),
        )
        if graphs:
            yield Quantity(
                name=f"CUDA graphs, fullest rank of stage {stage}",
                unit="bytes",
                planned=memory.graphs_bytes if memory else None,
                seen=max(graphs),
            )
