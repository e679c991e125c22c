"""Everything heard from a running group: lines, phases, ends, and the most memory ever used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from shardwright.model.launch import LaunchPlan
from shardwright.model.process import Phase
from shardwright.model.running import Clock, Exited, Line, Supervisor, Usage
from shardwright.rehearse.events import PhaseDone


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The most that one member used at any moment it was measured; bytes."""

    member: int
    memory_bytes: int
    shm_bytes: int
    num_processes: int


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far one process is through its phases."""

    phases: list[Phase]
    since_s: float


@dataclass(slots=True, kw_only=True)
class Watch:
    """Listens to the supervisor; times are seconds since `began`."""

    plan: LaunchPlan
    supervisor: Supervisor
    clock: Clock
    began: float = 0.0
    lines: list[Line] = field(default_factory=list)
    exits: list[tuple[float, Exited]] = field(default_factory=list)
    peaks: dict[int, Peak] = field(default_factory=dict)
    _progress: dict[tuple[int, str], _Progress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = self.clock.now()

    def elapsed_s(self) -> float:
        """Seconds since this watch began."""
        return self.clock.now() - self.began

    def follow(self, member: int, process: str) -> None:
        """Expect the phases of a process from now on."""
        declared = self.plan.group.members[member].processes
        phases = next(list(p.phases) for p in declared if p.name == process)
        self._progress[member, process] = _Progress(phases=phases, since_s=self.elapsed_s())

    def listen(self, timeout_s: float) -> Iterator[PhaseDone]:
        """Take in what happened; yield the phases that ended."""
        for happening in self.supervisor.poll(timeout_s):
            match happening:
                case Line():
                    self.lines.append(happening)
                    yield from self._advance(happening)
                case Exited():
                    self.exits.append((self.elapsed_s(), happening))
                case Usage():
                    self._raise_peak(happening)

    def pending(self) -> str | None:
        """The first phase that has not ended, for people; None if all have."""
        for (member, process), progress in self._progress.items():
            if progress.phases:
                return f"member {member} {process}: {progress.phases[0].name}"
        return None

    def tail(self, member: int, process: str, count: int) -> tuple[str, ...]:
        """The last lines of a process."""
        own = [x.text for x in self.lines if (x.member, x.process) == (member, process)]
        return tuple(own[-count:])

    def _advance(self, line: Line) -> Iterator[PhaseDone]:
        progress = self._progress.get((line.member, line.process))
        if progress is None:
            return
        # a later milestone proves the ones before it, whose lines a version may not have
        for i, phase in enumerate(progress.phases):
            if not re.search(phase.pattern, line.text):
                continue
            now = self.elapsed_s()
            for passed in progress.phases[: i + 1]:
                yield PhaseDone(
                    member=line.member,
                    process=line.process,
                    phase=passed.name,
                    at_s=now,
                    took_s=now - progress.since_s,
                    budget_s=passed.budget_s,
                )
                progress.since_s = now
            del progress.phases[: i + 1]
            return

    def _raise_peak(self, usage: Usage) -> None:
        before = self.peaks.get(usage.member)
        self.peaks[usage.member] = Peak(
            member=usage.member,
            memory_bytes=max(usage.memory_bytes, before.memory_bytes if before else 0),
            shm_bytes=max(usage.shm_bytes, before.shm_bytes if before else 0),
            num_processes=max(usage.num_processes, before.num_processes if before else 0),
        )
