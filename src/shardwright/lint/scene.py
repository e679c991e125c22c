"""The bundle as rules see it: with the groups of ranks its members form."""

from __future__ import annotations

from functools import cached_property

from shardwright.lint.bundle import Bundle, Member
from shardwright.lint.command.invocation import EngineInvocation
from shardwright.lint.command.standing import DoubtfulFlag, find_doubtful_flags
from shardwright.lint.groups import Group, find_groups
from shardwright.lint.hub import find_hub_engines
from shardwright.lint.meetings import Meeting, find_meetings


class Scene(Bundle):
    """A bundle with its groups."""

    @cached_property
    def doubtful_flags(self) -> tuple[DoubtfulFlag, ...]:
        """Flags of engines that their release is not known to have."""
        return tuple(find_doubtful_flags(self))

    @cached_property
    def hub_engines(self) -> tuple[tuple[Member, EngineInvocation], ...]:
        """Engines that will ask the hub for their model."""
        return tuple(find_hub_engines(self))

    @cached_property
    def meetings(self) -> tuple[Meeting, ...]:
        """Every address a member joins."""
        return tuple(find_meetings(self))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Groups of ranks, one for each engine that says how it is cut."""
        return tuple(find_groups(self, self.meetings))
