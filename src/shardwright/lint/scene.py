"""The bundle as rules see it: with the groups of ranks its members form."""

from __future__ import annotations

from functools import cached_property

from shardwright.lint.bundle import Bundle
from shardwright.lint.command.standing import DoubtfulFlag, find_doubtful_flags
from shardwright.lint.groups import Group, find_groups


class Scene(Bundle):
    """A bundle with its groups."""

    @cached_property
    def doubtful_flags(self) -> tuple[DoubtfulFlag, ...]:
        """Flags of engines that their release is not known to have."""
        return tuple(find_doubtful_flags(self))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Groups of ranks, one for each engine that says how it is cut."""
        return tuple(find_groups(self))
