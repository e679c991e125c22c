"""What a plan expects of its hardware, and the pieces the rules on it are written with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shardwright.facts.gpus import Gpu
from shardwright.model.finding import Finding
from shardwright.model.launch import LaunchPlan
from shardwright.model.request import Fabric
from shardwright.planner.links import Link, links_of
from shardwright.verify.hardware import MemberSeen, Row, Verdict

SLOW_SHARE: Final = 0.5
"""Below this share of the expected rate a link is slow; two H100 over NVLink reached 0.66 of the
line rate in an all-reduce and 0.80 in send/recv (2026-11-26)."""
BAD_SHARE: Final = 0.15
"""Below this share it is another link than the planned one: shared memory instead of NVLink gave
0.06, TCP on loopback 0.008 (2026-11-26)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the plan counts on. fabric: between nodes. read_bytes_per_s: of the claim."""

    plan: LaunchPlan
    gpu: Gpu | None
    fabric: Fabric
    read_bytes_per_s: int | None

    @property
    def is_cpu(self) -> bool:
        """Whether the check ran without GPUs, so that no rate can be expected."""
        return self.plan.tasks[0].gpus == 0

    def links(self) -> tuple[Link, Link] | None:
        """Return the links inside a member and between members."""
        per_member = self.plan.tasks[0].gpus
        if self.gpu is None or self.is_cpu:
            return None
        inside, _ = links_of(self.gpu, per_member, 1, gpus_per_node=per_member, fabric=self.fabric)
        _, across = links_of(self.gpu, per_member, 2, gpus_per_node=per_member, fabric=self.fabric)
        return inside, across


Line = tuple[Row, Finding | None]


def row(check: str, where: str, measured: str, expected: str, verdict: Verdict) -> Row:
    """Make a line of the table."""
    return Row(check=check, where=where, measured=measured, expected=expected, verdict=verdict)


def where(member: MemberSeen) -> str:
    """Name a pod and its node."""
    return f"member {member.member} ({member.node})"


def share(measured: float, expected: float) -> Verdict:
    """Judge a rate by its share of the expected one."""
    share = measured / expected
    return Verdict.BAD if share < BAD_SHARE else Verdict.SLOW if share < SLOW_SHARE else Verdict.OK


def rate(bytes_per_s: float) -> str:
    """Write a rate for people, decimal.

    >>> rate(298e9), rate(3.4e6)
    ('298.0 GB/s', '3.4 MB/s')
    """
    if bytes_per_s >= 1e9:
        return f"{bytes_per_s / 1e9:.1f} GB/s"
    return f"{bytes_per_s / 1e6:.1f} MB/s"
