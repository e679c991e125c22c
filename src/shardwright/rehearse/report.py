"""What a rehearsal found: one value, from which text, JSON and the report file are made."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.finding import Finding
from shardwright.model.launch import LaunchPlan
from shardwright.model.running import Leftovers
from shardwright.rehearse.change import Change
from shardwright.rehearse.cluster_drill import Aftermath
from shardwright.rehearse.drill import Drill
from shardwright.rehearse.events import PhaseDone
from shardwright.verify.agreement import Agreement
from shardwright.verify.attempts import Check
from shardwright.verify.identity import RankMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberUsage:
    """The most that a member used here, beside what the deployment reserves; bytes."""

    member: int
    memory_bytes: int
    memory_reserved_bytes: int
    shm_bytes: int
    shm_reserved_bytes: int
    num_processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a rehearsal found. Times in seconds since the group was started.

    deployed and rehearsed: the layouts, in words; nodes: how members were kept apart; ready_s: when
    the endpoint first answered; compared_with: what the tokens were compared with, None if nothing;
    drill: on this machine, aftermaths: of the drill on a cluster.
    """

    name: str
    model: str
    engine: str
    engine_version: str
    rehearsed_version: str
    mechanism: str
    deployed: str
    rehearsed: str
    nodes: str
    ready_s: float
    took_s: float
    phases: tuple[PhaseDone, ...]
    checks: tuple[Check, ...]
    ranks: tuple[RankMatch, ...]
    agreement: Agreement | None
    compared_with: str | None
    usage: tuple[MemberUsage, ...]
    drill: Drill | None
    aftermaths: tuple[Aftermath, ...] = ()
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    leftovers: Leftovers
    proved: tuple[str, ...]
    not_proved: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything that was tried held."""
        return (
            all(check.passed for check in self.checks)
            and not any(rank.differences for rank in self.ranks)
            and (self.agreement is None or self.agreement.agrees)
            and (self.drill is None or self.drill.recovered_s is not None)
            and all(each.recovered_s is not None for each in self.aftermaths)
            and not self.leftovers.remaining
        )


def layout_words(plan: LaunchPlan) -> str:
    """Say a plan's layout as engineers do.

    The ranks tell it, so it holds for a deployment and its rehearsal alike.
    """
    ranks = [rank for member in plan.group.members for rank in member.ranks]
    tensor = 1 + max(rank.tensor for rank in ranks)
    pipeline = 1 + max(rank.pipeline for rank in ranks)
    members = len(plan.group.members)
    return f"TP={tensor} PP={pipeline}, {members} member{'s' if members > 1 else ''}"


def proved_by(
    plan: LaunchPlan,
    checks: tuple[Check, ...],
    ranks: tuple[RankMatch, ...],
    agreement: Agreement | None,
    drill: Drill | None,
) -> tuple[str, ...]:
    """Say what held, and only what was tried and held."""
    members = len(plan.group.members)
    said = [f"{plan.engine} starts with the deployment's own command lines and environment"]
    if members > 1:
        how = type(plan.group.rendezvous).__name__
        said.append(f"{members} members meet ({how}) and form one group")
    if ranks and not any(rank.differences for rank in ranks):
        known = "stage, layers and device" if _all_layers(ranks) else "stage and device"
        said.append(f"each of {len(ranks)} ranks is where the plan puts it: member, {known}")
    held = [check.name for check in checks if check.passed]
    if held:
        said.append("the endpoint answers: " + ", ".join(held))
    if agreement and agreement.agrees and agreement.is_telling:
        said.append(
            f"the split model computes what one process computes: {agreement.num_tokens} tokens, "
            f"largest difference {agreement.max_difference:.3f} nats"
        )
    if drill and drill.recovered_s is not None:
        noticed = "" if drill.noticed_s is None else "is noticed, and "
        said.append(f"the loss of rank {drill.rank} {noticed}is mended by a restart of the group")
    return tuple(said)


def not_proved_by(changes: tuple[Change, ...]) -> tuple[str, ...]:
    """What every rehearsal leaves open, and what this one's changes leave open besides."""
    always = ("speed", "GPU kernels", "NCCL and the fabric", "GPU memory and how many requests fit")
    lost = (change.not_proved for change in changes if change.not_proved)
    return tuple(dict.fromkeys((*always, *lost)))


def _all_layers(ranks: tuple[RankMatch, ...]) -> bool:
    return all(rank.seen is not None and rank.seen.layers is not None for rank in ranks)
