"""A finding: something noticed that the user should know, short of an error.

Planning, launching and rehearsing all return findings beside their result; lint and doctor have
richer kinds of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much a finding matters, gravest first."""

    ERROR = "error"
    """It cannot start, cannot serve, or opens remote execution."""
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing noticed. code: stable and kebab-case; remedy: something to type or change."""

    code: str
    severity: Severity
    what: str
    why: str = ""
    remedy: str = ""
