"""How far each rank of a group is, and what its start took, read from the members' logs.

Text in, milestones out; a piece may be read twice, so that logs can be fetched with an overlap.
Called by deploy while it waits, and by its verification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from shardwright.engines.reading import Reading
from shardwright.model.launch import Rank
from shardwright.model.units import GIB


class Step(Enum):
    """Milestones of a rank's start, in order."""

    JOINED = "joined"
    WEIGHTS = "weights"
    COMPILED = "compiled"
    GRAPHS = "graphs"
    STARTED = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A rank reached a milestone. detail: what the log says it took."""

    rank: int
    step: Step
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class RankFacts:
    """What the log says of one rank; None where it says nothing. percent: of the weights read."""

    steps: dict[Step, str] = field(default_factory=dict)
    percent: int | None = None
    weights_bytes: int | None = None
    graphs_bytes: int | None = None


class RankLog:
    """Everything read so far of one group. members: the ranks of each member, member 0 first."""

    def __init__(self, reading: Reading, members: Iterable[tuple[Rank, ...]]) -> None:
        self.reading = reading
        self.members = tuple(members)
        ranks = [rank for each in self.members for rank in each]
        self.facts = {rank.index: RankFacts() for rank in ranks}
        self.kv_tokens: int | None = None
        self._by_place = {(rank.pipeline, rank.tensor): rank.index for rank in ranks}
        self._by_process: dict[tuple[int, str | None, str], int] = {}

    def read(self, member: int, text: str) -> tuple[Reached, ...]:
        """Read a piece of a member's log; return what was reached and not known before."""
        found: list[Reached] = []
        for line in text.splitlines():
            if re.search(self.reading.wanted, line):
                self._notice(member, line, found)
        return tuple(found)

    def forget(self, member: int) -> None:
        """A member starts again: nothing that its ranks had reached holds."""
        for rank in self.members[member]:
            self.facts[rank.index] = RankFacts()
        self._by_process = {k: v for k, v in self._by_process.items() if k[0] != member}

    def _notice(self, member: int, line: str, found: list[Reached]) -> None:
        if match := re.search(self.reading.kv_tokens, line):
            self.kv_tokens = int(match["tokens"].replace(",", ""))
        if re.search(self.reading.started, line):
            for index in self.facts:
                self._reach(index, Step.STARTED, "", found)
            return
        if match := re.search(self.reading.rank, line):
            index = int(match["rank"])
            if index in self.facts:
                self._by_process[member, match.groupdict().get("address"), match["pid"]] = index
                self._reach(index, Step.JOINED, "", found)
        rank = self._rank_of(member, line)
        if rank is not None:
            self._measure(rank, line, found)

    def _measure(self, rank: int, line: str, found: list[Reached]) -> None:
        facts = self.facts[rank]
        if match := re.search(self.reading.progress, line):
            facts.percent = int(match["percent"])
        elif match := re.search(self.reading.weights, line):
            if match["gib"]:
                facts.weights_bytes = round(float(match["gib"]) * GIB)
                self._reach(rank, Step.WEIGHTS, _weights_words(match), found)
        elif match := re.search(self.reading.compiled, line):
            self._reach(rank, Step.COMPILED, f"{float(match['seconds']):.0f} s", found)
        elif match := re.search(self.reading.graphs, line):
            facts.graphs_bytes = round(float(match["gib"]) * GIB)
            words = f"{match['gib']} GiB in {float(match['seconds']):.0f} s"
            self._reach(rank, Step.GRAPHS, words, found)

    def _rank_of(self, member: int, line: str) -> int | None:
        if match := re.search(self.reading.role, line):
            place = (int(match["pipeline"] or 0), int(match["tensor"] or 0))
            if any(match.group("pipeline", "tensor")) and place in self._by_place:
                return self._by_place[place]
            address = re.search(r"pid=\d+, ip=([\d.]+)", line)
            key = (member, address.group(1) if address else None, match["pid"])
            if key in self._by_process:
                return self._by_process[key]
        return next(iter(self.facts)) if len(self.facts) == 1 else None

    def _reach(self, rank: int, step: Step, detail: str, found: list[Reached]) -> None:
        steps = self.facts[rank].steps
        if step not in steps:
            steps[step] = detail
            found.append(Reached(rank=rank, step=step, detail=detail))


def _weights_words(match: re.Match[str]) -> str:
    gib, seconds = float(match["gib"]), float(match["seconds"])
    rate = f", {gib * GIB / seconds / 1e9:.1f} GB/s" if seconds >= 0.1 else ""
    return f"{gib:.1f} GiB in {seconds:.0f} s{rate}"
