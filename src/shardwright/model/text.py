"""Text with symbols: words whose value only the place of execution knows.

Written by launch, resolved by rehearse (addresses of processes here) and render (names in a
cluster). A text without symbols is a plain string.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaderHost:
    """An address at which every member reaches member 0 of its group."""


@dataclass(frozen=True, slots=True)
class MemberHost:
    """An address at which every member reaches the member of this index."""

    index: int


@dataclass(frozen=True, slots=True)
class MemberIndex:
    """The member's own index in its group, counted from 0."""


@dataclass(frozen=True, slots=True)
class RankIndex:
    """The global index of the rank a process per rank belongs to; set by who starts the ranks."""


@dataclass(frozen=True, slots=True)
class GroupSize:
    """The number of members in the group."""


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """The member's own IP address, unique in the group (a pod's status.podIP)."""


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A key of a secret; allowed in environment variables only, never in an argument."""

    secret: str
    key: str


Symbol = LeaderHost | MemberHost | MemberIndex | RankIndex | GroupSize | OwnAddress | SecretValue
Text = tuple[str | Symbol, ...]
"""Parts to be joined once every symbol is known."""


def text(*parts: str | Symbol) -> Text:
    """Write a text from its parts.

    >>> text("--node-rank=", MemberIndex())
    ('--node-rank=', MemberIndex())
    """
    return parts


def resolve(words: Text, value: Callable[[Symbol], str]) -> str:
    """Join a text, each symbol replaced by its value.

    >>> resolve(text("--node-rank=", MemberIndex()), lambda symbol: "1")
    '--node-rank=1'
    """
    return "".join(word if isinstance(word, str) else value(word) for word in words)
