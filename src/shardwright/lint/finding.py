"""What lint says: a finding with its place, its reason, its remedy and, where safe, its repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardwright.lint.objects import KubeObject, Path
from shardwright.model.finding import Severity

if TYPE_CHECKING:
    from shardwright.lint.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace the text between two places of a file; lines and columns count from 0."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A safe repair: what it does, in words, and its edits of the finding's file."""

    summary: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule yields. severity, why and remedy default to the rule's own.

    near: text to look for inside the field, to name a line within a script. line: the line itself
    (from 1), where a path cannot name it.
    """

    object: KubeObject
    path: Path
    what: str
    near: str = ""
    line: int | None = None
    severity: Severity | None = None
    why: str = ""
    remedy: str = ""
    fix: Fix | None = None


Check = Callable[["Scene"], Iterator[Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing lint knows. severity: the gravest it gives; why and remedy: its documentation."""

    code: str
    severity: Severity
    title: str
    why: str
    remedy: str
    references: tuple[str, ...] = ()
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One finding as users get it. line counts from 1; None for objects that were never text."""

    code: str
    severity: Severity
    file: str
    line: int | None
    object: str
    what: str
    why: str
    remedy: str
    fix: Fix | None = None
