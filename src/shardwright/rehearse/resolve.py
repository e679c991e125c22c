"""From a launch plan and the seats of its members to commands: every symbol becomes a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.launch import LaunchPlan, Member
from shardwright.model.process import Per, Process
from shardwright.model.running import Command, Seat
from shardwright.model.text import (
    GroupSize,
    LeaderHost,
    MemberHost,
    MemberIndex,
    OwnAddress,
    RankIndex,
    SecretValue,
    Symbol,
    Text,
    resolve,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What this machine gives every process: the environment it starts from, and secret values."""

    env: tuple[tuple[str, str], ...]
    secrets: Mapping[tuple[str, str], str]


def command_of(
    plan: LaunchPlan,
    member: Member,
    process: Process,
    seats: tuple[Seat, ...],
    around: Surroundings,
) -> Command:
    """Write a process as a command. Raises ShardwrightError for one that cannot run here."""
    if process.per is Per.RANK:
        raise ShardwrightError(
            code="launch-not-rehearsed",
            what=f"{plan.mechanism.value} starts {process.name} once per rank, by mpirun",
            cause="local rehearsals start one process per member and have no ssh between members",
            remedy="rehearse with another spec.launch, or on a cluster",
            exit_code=ExitCode.USAGE,
        )
    place = Place(plan=plan, member=member, seats=seats, secrets=around.secrets)
    env = dict(around.env) | {var.name: resolve(var.value, place.value) for var in process.env}
    return Command(
        member=member.index,
        name=process.name,
        argv=tuple(resolve(words, place.value) for words in process.argv),
        env=tuple(sorted(env.items())),
    )


def probe_of(command: Command, argv: tuple[Text, ...], place: Place, *, attempt: int) -> Command:
    """Write an exec probe of a process as a command beside it."""
    return Command(
        member=command.member,
        name=f"{command.name}.probe{attempt}",
        argv=tuple(resolve(words, place.value) for words in argv),
        env=command.env,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One member's seat among the others: what every symbol means there."""

    plan: LaunchPlan
    member: Member
    seats: tuple[Seat, ...]
    secrets: Mapping[tuple[str, str], str]

    def value(self, symbol: Symbol) -> str:
        """Return the word a symbol stands for."""
        match symbol:
            case LeaderHost():
                return self.seats[0].address
            case MemberHost(index=index):
                return self.seats[index].address
            case OwnAddress():
                return self.seats[self.member.index].address
            case MemberIndex():
                return str(self.member.index)
            case GroupSize():
                return str(len(self.plan.group.members))
            case SecretValue(secret=secret, key=key):
                return self.secrets[secret, key]
            case RankIndex():
                raise AssertionError("a rank index outside a process per rank")
