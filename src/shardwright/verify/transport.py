"""Which way NCCL sends between ranks, read from its log and held against the planned fabric.

NCCL 2.x at NCCL_DEBUG=INFO prints, per channel, `0[0] -> 1[1] via P2P/CUMEM`, `via SHM/direct` or
`via NET/IB/0/GDRDMA`, NET/Socket (transport/{p2p,shm,net}.cc). Rank numbers are those of one
communicator, so links are counted, not named by the engine's ranks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_CHANNEL = re.compile(
    r"^(?:.*\s)?(?P<host>[\w.-]+):\d+:\d+ \[\d+\] NCCL INFO Channel \S+ : "
    r"(?P<sender>\d+)\[\w+\] -> (?P<receiver>\d+)\[\w+\](?: \[\w+\])? via (?P<way>\S+)"
)
_RDMA = "NET/IB"


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


def transport_problems(
    found: Iterable[Transport], *, wants_rdma: bool, num_members: int
) -> tuple[str, ...]:
    """Say where NCCL takes a slower way than the plan counts on; empty if it does not.

    wants_rdma: members are on a fabric with RDMA, so sockets between them are a fault.
    """
    out = []
    for each in found:
        slow = [way for way in each.links if way.startswith("NET/Socket")]
        if slow and wants_rdma:
            out.append(f"{each.host}: {each.links[slow[0]]} links over TCP sockets, planned RDMA")
        staged = [way for way in each.links if way == _RDMA]
        if staged and wants_rdma:
            out.append(f"{each.host}: {each.links[_RDMA]} RDMA links without GPUDirect (GDRDMA)")
        shared = [way for way in each.links if way.startswith("SHM")]
        if shared:
            count = sum(each.links[way] for way in shared)
            out.append(f"{each.host}: {count} links through host memory (SHM), planned P2P")
        network = sum(count for way, count in each.links.items() if way.startswith("NET"))
        if network and num_members == 1:
            out.append(f"{each.host}: {network} links over the network within one node")
    return tuple(out)
