"""Rules on what was measured between GPUs: rates, and the transport NCCL chose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shardwright.launch.transport import Fault, PlannedLinks, fault_of
from shardwright.model.finding import Finding, Severity
from shardwright.planner.links import Link
from shardwright.verify.hardware import MemberSeen, Verdict
from shardwright.verify.hardware_expected import Expected, Line, rate, row, share, where


def links(expected: Expected, members: Sequence[MemberSeen]) -> Iterator[Line]:
    """Compare links, rank failures and the transport with the plan."""
    planned = expected.links()
    several = len(expected.plan.group.members) > 1
    crosses = several and len({m.node for m in members}) > 1
    for member in members:
        for rank in member.ranks:
            if rank.error:
                line = row("ranks", f"{where(member)}, rank {rank.local}",
                           rank.error[:120], "measures", Verdict.BAD)  # fmt: skip
                yield line, Finding(
                    code="hardware-rank-failed", severity=Severity.ERROR,
                    what=f"{where(member)}: rank {rank.local} measured nothing: {rank.error[:300]}",
                    why=rank.warnings[0] if rank.warnings else "",
                    remedy="shardwright doctor --evidence on the pods' logs names the cause",
                )  # fmt: skip
        yield from _speeds(member, planned, crosses=crosses)
    if planned and crosses:
        yield from _transport(expected, members)


def _speeds(
    member: MemberSeen, planned: tuple[Link, Link] | None, *, crosses: bool
) -> Iterator[Line]:
    first = member.ranks[0] if member.ranks else None
    if first is None:
        return
    inside, across = planned or (None, None)
    if not crosses:
        across = inside
    measured = [
        ("all-reduce inside", first.inside_bus, inside),
        ("send/recv inside", first.pair_inside, inside),
    ]
    if member.member == 0:
        measured.append(("all-reduce of the group", first.group_bus, across))
        measured += [(f"send/recv {a} to {b}", speed, across) for a, b, speed in first.pairs_across]
    for name, speed, link in measured:
        if speed is None:
            continue
        verdict = share(speed, link.bytes_per_s) if link else Verdict.OK
        wanted = f"{rate(link.bytes_per_s)} ({link.name})" if link else "no figure without GPUs"
        via = ", ".join(f"{k} x{n}" for k, n in member.transports().most_common(3))
        seen = rate(speed) + (f" via {via}" if via else "")
        yield row(name, where(member), seen, wanted, verdict), _slow(name, member, seen, wanted,
                                                                       verdict)  # fmt: skip


def _slow(
    name: str, member: MemberSeen, seen: str, wanted: str, verdict: Verdict
) -> Finding | None:
    if verdict is Verdict.OK:
        return None
    return Finding(
        code="hardware-slow-link",
        severity=Severity.ERROR if verdict is Verdict.BAD else Severity.WARNING,
        what=f"{name}, {where(member)}: {seen}; planned: {wanted}",
        why="another path than the planned one, or a faulty link",
        remedy="inside: nvidia-smi topo -m, nvidia-smi nvlink -s, IOMMU and ACS off; between: "
        "the RDMA resource in the pod, NCCL_IB_HCA, NCCL_SOCKET_IFNAME",
    )


def _transport(expected: Expected, members: Sequence[MemberSeen]) -> Iterator[Line]:
    used = sorted({t for m in members for t in m.transports() if t.startswith("NET/")})
    if not used:
        return
    planned = PlannedLinks(num_members=2, gpus_per_member=1, fabric=expected.fabric)
    wrong = any(fault_of(way, planned) is Fault.TCP for way in used)
    line = row("transport between nodes", "group", ", ".join(used), str(expected.fabric),
               Verdict.BAD if wrong else Verdict.OK)  # fmt: skip
    yield line, None if not wrong else Finding(
        code="hardware-tcp", severity=Severity.ERROR,
        what=f"NCCL goes over TCP ({', '.join(used)}), and the plan counts on {expected.fabric}",
        remedy="give the pods the RDMA resource (cluster.rdmaResource) and IPC_LOCK, or set "
        "cluster.fabric to the network there is",
    )  # fmt: skip
