"""What was planned, for holding the evidence against, and the conditions the knowledge puts on it.

Without a plan nothing is expected, and no condition that needs one holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from shardwright.diagnose.evidence import Hit
from shardwright.launch.transport import Fault, PlannedLinks, fault_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a plan counts on. lines: field of the spec, such as `cluster.fabric` -> its line."""

    links: PlannedLinks
    lines: Mapping[str, Hit]


Condition = Callable[[Hit, Planned | None], bool]


def _is_fault(fault: Fault) -> Condition:
    """Hold where the line's link (its value `way`) has this fault by the plan."""

    def holds(hit: Hit, planned: Planned | None) -> bool:
        way = hit.values.get("way", "")
        return planned is not None and fault_of(way, planned.links) is fault

    return holds


CONDITIONS: Final[Mapping[str, Condition]] = {
    "link-tcp": _is_fault(Fault.TCP),
    "link-no-gpudirect": _is_fault(Fault.NO_GPUDIRECT),
    "link-host-memory": _is_fault(Fault.HOST_MEMORY),
    "link-network-inside": _is_fault(Fault.NETWORK_INSIDE),
    "rdma-planned": lambda _, planned: planned is not None and planned.links.expects_rdma,
    "verbs-planned": lambda _, planned: planned is not None and planned.links.expects_verbs,
    "tcp-not-planned": lambda _, planned: planned is None or not planned.links.expects_tcp,
}
"""Name -> whether a line counts, given what was planned. Knowledge files name them (`when:`)."""
