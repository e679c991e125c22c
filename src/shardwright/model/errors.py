"""The one error a user sees, and the exit codes every command keeps to.

Raised anywhere, rendered only by `shardwright.cli`. An expected outcome (a model that does not fit)
is a returned value, never an error; a bug keeps its own exception and its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to scripts."""

    DONE = 0
    VERDICT_NO = 1
    """Does not fit, objective missed, lint errors, proof failed, `diff` found changes."""
    USAGE = 2
    """Bad command line or bad user file."""
    FAILURE = 3
    """A cluster or an engine failed."""
    INCONCLUSIVE = 4
    BUG = 70
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A position in a user's file; line and column count from 1, None where unknown."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Render as editors and terminals expect it.

        >>> str(Place(file="spec.yaml", line=7))
        'spec.yaml:7'
        """
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)


@dataclass(kw_only=True)
class ShardwrightError(Exception):
    """Something the user can act on.

    code: stable, kebab-case, documented. what: what happened, one sentence. cause: why, if known.
    remedy: something to type or change; if none is known, what to collect. details: lines shown
    as they are below `what`, when one error has several parts.
    """

    code: str
    what: str
    cause: str | None = None
    remedy: str | None = None
    details: tuple[str, ...] = ()
    place: Place | None = None
    exit_code: ExitCode = ExitCode.FAILURE
    context: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Render as `code: what`, for logs and tests."""
        return f"{self.code}: {self.what}"

    def render(self) -> str:
        """Render the block that goes to stderr.

        >>> print(ShardwrightError(code="port-in-use", what="port 8000 is taken",
        ...                        remedy="pass --port 0").render())
        error: port-in-use
        what:   port 8000 is taken
        remedy: pass --port 0
        """
        lines = [f"error: {self.code}"]
        if self.place is not None:
            lines.append(f"where:  {self.place}")
        lines.append(f"what:   {self.what}")
        lines += [f"        {line}" for line in self.details]
        if self.cause:
            lines.append(f"cause:  {self.cause}")
        if self.remedy:
            lines.append(f"remedy: {self.remedy}")
        return "\n".join(lines)


def usage_error(
    code: str, what: str, *, remedy: str | None = None, cause: str | None = None
) -> ShardwrightError:
    """Make an error of the user's own input: exit code 2."""
    return ShardwrightError(
        code=code, what=what, cause=cause, remedy=remedy, exit_code=ExitCode.USAGE
    )
