"""Who each rank turned out to be, read from the engine's own log and held against the plan."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.launch import LaunchPlan, Rank
from shardwright.model.running import Line, Seat

_ROLE = ("pipeline", "tensor")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSeen:
    """A rank as the engine's log shows it; None where the log says nothing.

    member: whose log it was in, or whose address it named; pid: its process on this machine;
    layers: first and last hidden layer that the running worker holds, inclusive.
    """

    index: int
    pid: int
    member: int
    address: str
    local_device: int | None = None
    tensor: int | None = None
    pipeline: int | None = None
    layers: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMatch:
    """A planned rank beside the seen one; differences: one sentence each, empty if they agree."""

    planned: Rank
    member: int
    seen: RankSeen | None
    differences: tuple[str, ...]


def ranks_seen(
    lines: Iterable[Line], rules: Rehearsal, seats: tuple[Seat, ...]
) -> tuple[RankSeen, ...]:
    """Read every rank from the log lines; of a rank that started twice, the later start."""
    member_at = {seat.address: seat.member for seat in seats}
    is_told = len(member_at) == len(seats)
    found: dict[int, RankSeen] = {}
    # pods count their processes from 1, so two members may well have the same ids
    roles: dict[tuple[int, int], tuple[int, int]] = {}
    layers: dict[int, tuple[int, int]] = {}
    for line in lines:
        told = re.search(r"pid=\d+, ip=([\d.]+)", line.text)
        named = told.group(1) if told else ""
        member = member_at[named] if is_told and named in member_at else line.member
        if match := re.search(rules.rank_pattern, line.text):
            found[int(match["rank"])] = RankSeen(
                index=int(match["rank"]),
                pid=int(match["pid"]),
                member=member,
                address=seats[member].address,
                local_device=int(match["local"]),
            )
        elif (match := re.search(rules.role_pattern, line.text)) and any(match.group(*_ROLE)):
            roles[member, int(match["pid"])] = (
                int(match["tensor"] or 0),
                int(match["pipeline"] or 0),
            )
        if match := re.search(rules.layers_pattern, line.text):
            layers[int(match["rank"])] = (int(match["first"]), int(match["last"]))
    return tuple(
        RankSeen(
            index=seen.index,
            pid=seen.pid,
            member=seen.member,
            address=seen.address,
            local_device=seen.local_device,
            tensor=roles.get((seen.member, seen.pid), (None, None))[0],
            pipeline=roles.get((seen.member, seen.pid), (None, None))[1],
            layers=layers.get(seen.index),
        )
        for _, seen in sorted(found.items())
    )


def match_ranks(plan: LaunchPlan, seen: tuple[RankSeen, ...]) -> tuple[RankMatch, ...]:
    """Hold every planned rank against the seen one of its index; the last also tells of others."""
    by_index = {rank.index: rank for rank in seen}
    matches = [
        RankMatch(
            planned=rank,
            member=member.index,
            seen=by_index.get(rank.index),
            differences=_differences(rank, member.index, by_index.get(rank.index)),
        )
        for member in plan.group.members
        for rank in member.ranks
    ]
    others = sorted(by_index.keys() - {match.planned.index for match in matches})
    if others and matches:
        told = tuple(f"rank {index} runs and is not in the plan" for index in others)
        matches[-1] = replace(matches[-1], differences=matches[-1].differences + told)
    return tuple(matches)


def _differences(rank: Rank, member: int, seen: RankSeen | None) -> tuple[str, ...]:
    if seen is None:
        return (f"rank {rank.index} never said that it started",)
    pairs = (
        ("member", member, seen.member),
        ("local device", rank.local_device, seen.local_device),
        ("tensor rank", rank.tensor, seen.tensor),
        ("stage", rank.pipeline, seen.pipeline),
        ("layers", rank.layers, seen.layers),
    )
    return tuple(
        f"rank {rank.index}: {what} planned {planned}, seen {got}"
        for what, planned, got in pairs
        if got is not None and planned != got
    )
