"""What a rehearsal tells while it runs: milestones for a live display, and for the report after."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.verify.attempts import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the rehearsal begins. name: start, prove, bench, drill, stop, compare."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted:
    """A program of a member was started."""

    member: int
    process: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDone:
    """A phase of a process's start ended, beside the time the deployment allows for it."""

    member: int
    process: str
    phase: str
    at_s: float
    took_s: float
    budget_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The endpoint answers its startup probe."""

    at_s: float
    budget_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Nothing new; what is being waited for."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to say that is neither a milestone nor a check."""

    text: str


Event = Stage | ProcessStarted | PhaseDone | Ready | Waiting | Check | Note
