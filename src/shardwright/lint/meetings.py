"""Where members of groups meet: every address they join, and what its name resolves to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from shardwright.lint.bundle import Bundle, Member
from shardwright.lint.command.invocation import Site, host_of
from shardwright.lint.names import Resolution, resolve


class Meeting(NamedTuple):
    """An address one member joins. host: without the port; site: where it is written."""

    member: Member
    host: str
    site: Site
    resolution: Resolution


def find_meetings(bundle: Bundle) -> Iterator[Meeting]:
    """Yield what every member joins: Ray's head, or torch.distributed's leader."""
    for member in bundle.members:
        for address, site in _addresses(member):
            host, _ = host_of(address)
            yield Meeting(member, host, site, resolve(bundle, member.workload, host))


def _addresses(member: Member) -> Iterator[tuple[str, Site]]:
    for ray in member.command.rays:
        if not ray.is_head and ray.address:
            yield ray.address, ray.site
    for engine in member.command.engines:
        flag = engine.find(engine.dialect.address) if engine.dialect.address else None
        if flag is not None and flag.value:
            yield flag.value, engine.site
