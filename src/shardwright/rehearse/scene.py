"""Everything decided before a rehearsal starts: both plans, and what differs between them."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error
from shardwright.model.launch import LaunchPlan
from shardwright.model.layout import Layout
from shardwright.rehearse.change import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One rehearsal, ready to be performed.

    deployed: the plan as it will be deployed; plan: what runs here, its rendezvous included; env:
    what every process starts from; version: of the engine here; nodes: how members are kept apart;
    model_path: the small model with its tokenizer.
    """

    deployed: LaunchPlan
    plan: LaunchPlan
    changes: tuple[Change, ...]
    rules: Rehearsal
    env: tuple[tuple[str, str], ...]
    version: str
    vocab_size: int
    model_path: str
    is_isolated: bool

    @property
    def nodes(self) -> str:
        """How members are kept apart, in words."""
        if self.is_isolated:
            return "each member in its own network namespace with its own /dev/shm"
        return "members as processes side by side"


def rehearsed_layout(planned: Layout, ranks: tuple[int, int] | None) -> Layout:
    """Scale a layout down and keep both axes: an axis that is used stays used.

    Raises ShardwrightError for ranks that would rehearse another layout than the planned one.

    >>> str(rehearsed_layout(Layout(tensor_parallel=8, pipeline_parallel=4), None))
    'TP=2 PP=2'
    """
    wanted = ranks or (min(2, planned.tensor_parallel), min(2, planned.pipeline_parallel))
    pairs = zip(wanted, (planned.tensor_parallel, planned.pipeline_parallel), strict=True)
    for name, (here, there) in zip(("tensor", "pipeline"), pairs, strict=True):
        if here > there or (here == 1) != (there == 1):
            raise usage_error(
                "ranks-not-of-the-plan",
                f"--ranks {wanted[0]}x{wanted[1]} has {here} {name} ranks, the plan has {there}",
                cause="a rehearsal keeps both axes: one that is used stays above 1, and none grows",
                remedy=f"plan {planned}; choose ranks within it, or leave --ranks out",
            )
    return Layout(tensor_parallel=wanted[0], pipeline_parallel=wanted[1])


def refuse_unrehearsed(plan: LaunchPlan, planned: Layout, rules: Rehearsal | None) -> Rehearsal:
    """Return the engine's rules; raises ShardwrightError for what cannot be rehearsed here."""
    if rules is None:
        raise _not_here(
            f"{plan.engine} has no CPU engine that could run here",
            "rehearse on a cluster with GPUs, or the same model with vllm",
        )
    if planned.data_parallel > 1:
        raise _not_here(
            f"data parallelism ({planned.data_parallel}) inside one group is not rehearsed yet",
            "set spec.parallelism.data to 1 for the rehearsal",
        )
    return rules


def _not_here(what: str, remedy: str) -> ShardwrightError:
    return ShardwrightError(
        code="not-rehearsable", what=what, remedy=remedy, exit_code=ExitCode.USAGE
    )
