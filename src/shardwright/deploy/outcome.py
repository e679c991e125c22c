"""How a deployment ended, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from shardwright.deploy.verification import Verification
from shardwright.diagnose.doctor import Report


class Result(Enum):
    """How a deployment ended."""

    READY = "ready"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a deployment ended, and why.

    seconds: until ready or given up. evidence: file name to text, taken before any rollback.
    verification: what was found once it was ready.
    """

    result: Result
    revision: int
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    evidence: dict[str, str] = field(default_factory=dict)
    report: Report | None = None
    rolled_back_to: int | None = None
    verification: Verification | None = None
