"""Which way NCCL sends between ranks, read from its log and held against the links of the plan.

NCCL 2.x at NCCL_DEBUG=INFO prints, per channel, `0[0] -> 1[1] via P2P/CUMEM`, `via SHM/direct` or
`via NET/IB/0/GDRDMA`, NET/Socket (transport/{p2p,shm,net}.cc). Rank numbers are those of one
communicator, so links are counted, not named by the engine's ranks. Called by the check of a
deployment, the hardware check and the doctor, so that all three mean the same by a slow link.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from shardwright.facts.gpus import gpu
from shardwright.model.request import Fabric, FabricKind, Request

_CHANNEL = re.compile(
    r"^(?:.*\s)?(?P<host>[\w.-]+):\d+:\d+ \[\d+\] NCCL INFO Channel \S+ : "
    r"(?P<sender>\d+)\[\w+\] -> (?P<receiver>\d+)\[\w+\](?: \[\w+\])? "
    r"via (?P<way>NET/[^/\n]+/\S+|\S+)"
)
_RDMA = ("NET/IB", "NET/IBext")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLinks:
    """What connects the GPUs of a group by plan.

    scaleup: NVLink or xGMI between the GPUs of a member, None where they share PCIe. fabric:
    between members, None where the spec does not say. rdma_resource: the Kubernetes resource of
    RDMA devices that pods ask for.
    """

    num_members: int
    gpus_per_member: int
    scaleup: str | None = None
    fabric: Fabric | None = None
    rdma_resource: str | None = None

    @property
    def expects_rdma(self) -> bool:
        """Whether RDMA is counted on between members."""
        return self.num_members > 1 and (
            self.rdma_resource is not None if self.fabric is None else self.fabric.is_rdma
        )

    @property
    def expects_verbs(self) -> bool:
        """Whether that RDMA is InfiniBand's or RoCE's, so that NCCL itself must find a device."""
        return self.expects_rdma and (self.fabric is None or self.fabric.kind is not FabricKind.EFA)

    @property
    def expects_tcp(self) -> bool:
        """Whether members are planned to talk over plain Ethernet."""
        return self.fabric is not None and self.fabric.kind is FabricKind.ETHERNET


def planned_links(request: Request, num_members: int, gpus_per_member: int) -> PlannedLinks:
    """Say what a spec counts on. A bridge joins pairs only, so it promises nothing for a member."""
    scaleup = gpu(request.cluster.gpu).scaleup
    return PlannedLinks(
        num_members=num_members, gpus_per_member=gpus_per_member,
        scaleup=None if scaleup is None or "bridge" in scaleup else scaleup,
        fabric=request.cluster.fabric, rdma_resource=request.cluster.rdma_resource,
    )  # fmt: skip


class Fault(Enum):
    """How a link that NCCL chose is worse than the planned one."""

    TCP = "TCP sockets, planned RDMA"
    NO_GPUDIRECT = "RDMA without GPUDirect (GDRDMA), so through host memory"
    HOST_MEMORY = "host memory (SHM), planned P2P"
    NETWORK_INSIDE = "the network within one node"


def fault_of(way: str, planned: PlannedLinks) -> Fault | None:
    """Judge one link by the way it takes; None if it is as planned, or nothing was planned for it.

    SHM connects GPUs of one host only, so it is held against the links inside a member; on GPUs
    that share PCIe it is what NCCL takes where they cannot read each other.

    >>> links = PlannedLinks(num_members=1, gpus_per_member=8, scaleup="NVLink 4")
    >>> fault_of("SHM/direct", links).name, fault_of("P2P/CUMEM", links)
    ('HOST_MEMORY', None)
    """
    if way.startswith("SHM"):
        return Fault.HOST_MEMORY if planned.scaleup and planned.gpus_per_member > 1 else None
    if not way.startswith("NET/"):
        return None
    if planned.num_members == 1:
        return Fault.NETWORK_INSIDE
    if not planned.expects_rdma:
        return None
    if way.startswith("NET/Socket"):
        return Fault.TCP
    return Fault.NO_GPUDIRECT if way.startswith(_RDMA) and "GDRDMA" not in way else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """Links of one host by the way they take, such as `P2P/CUMEM`; a link is counted once."""

    host: str
    links: Mapping[str, int]


def transports(lines: Iterable[str]) -> tuple[Transport, ...]:
    """Count the links of each host.

    >>> line = "gpu-0:71:402 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM"
    >>> [(t.host, dict(t.links)) for t in transports([line, line])]
    [('gpu-0', {'P2P/CUMEM': 1})]
    """
    seen = {
        (match["host"], match["sender"], match["receiver"], _kind(match["way"]))
        for line in lines
        if "NCCL INFO Channel" in line and (match := _CHANNEL.match(line))
    }
    by_host: dict[str, Counter[str]] = {}
    for host, _, _, way in seen:
        by_host.setdefault(host, Counter())[way] += 1
    return tuple(
        Transport(host=host, links=dict(sorted(links.items())))
        for host, links in sorted(by_host.items())
    )


def _kind(way: str) -> str:
    """Leave the number of the device out: NET/IB/3/GDRDMA and NET/IB/0/GDRDMA are one way."""
    return re.sub(r"/\d+(\(\d+\))?", "", way)


def transport_problems(found: Iterable[Transport], planned: PlannedLinks) -> tuple[str, ...]:
    """Say where NCCL takes a slower way than the plan counts on; empty if it does not."""
    out = []
    for each in found:
        counts: Counter[Fault] = Counter()
        for way, count in each.links.items():
            if fault := fault_of(way, planned):
                counts[fault] += count
        out += [f"{each.host}: {counts[f]} links over {f.value}" for f in Fault if counts[f]]
    return tuple(out)
