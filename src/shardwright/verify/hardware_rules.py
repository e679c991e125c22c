"""Measured hardware beside what the plan expects of it: a table, and a finding for what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from shardwright.model.finding import Finding, Severity
from shardwright.model.units import gib
from shardwright.verify.hardware import HardwareVerdict, MemberSeen, Row, Verdict
from shardwright.verify.hardware_expected import Expected, Line, rate, row, share, where
from shardwright.verify.hardware_links import links

MAX_SKEW_S: Final = 1.0
"""Clocks further apart make logs of several nodes hard to order, and tokens expire. Assumed."""
MIN_MEMLOCK_BYTES: Final = 1 << 30
"""NCCL registers buffers of this order with the network card. Assumed."""
USED_MIB: Final = 1024
"""Memory in use on a GPU before anything of ours runs there: somebody else's. Assumed."""
SHM: Final = "/dev/shm"  # noqa: S108 - a path to name
SHM_MARGIN: Final = 0.95


def judge(expected: Expected, members: Sequence[MemberSeen]) -> HardwareVerdict:
    """Compare what every pod reported with the plan."""
    ordered = sorted(members, key=lambda m: m.member)
    rows: list[Row] = []
    findings: list[Finding] = []
    for rule in _RULES:
        for line, finding in rule(expected, ordered):
            rows.append(line)
            findings += [finding] if finding else []
    return HardwareVerdict(rows=tuple(rows), findings=tuple(findings))


def _reported(expected: Expected, members: Sequence[MemberSeen]) -> Iterator[Line]:
    wanted = len(expected.plan.group.members)
    missing = sorted(set(range(wanted)) - {m.member for m in members})
    verdict = Verdict.BAD if missing else Verdict.OK
    line = row("pods", "group", f"{wanted - len(missing)} reported", str(wanted), verdict)
    finding = None
    if missing:
        finding = Finding(
            code="hardware-not-reported", severity=Severity.ERROR,
            what=f"no report from member {', '.join(map(str, missing))}",
            why="its pod did not start, or ended before it could measure",
            remedy="read the pod's events and log: shardwright doctor names the cause",
        )  # fmt: skip
    yield line, finding
    nodes = {m.node for m in members}
    if len(members) > 1 and len(nodes) == 1:
        line = row("nodes", "group", "one node", f"{wanted} nodes", Verdict.UNKNOWN)
        yield line, Finding(
            code="hardware-one-node", severity=Severity.NOTE,
            what="all pods ran on one node, so no link between nodes was measured",
            remedy="free GPUs on the other nodes, or give the group a node selector",
        )  # fmt: skip


def _gpus(expected: Expected, members: Sequence[MemberSeen]) -> Iterator[Line]:
    wanted = expected.plan.tasks[0].gpus
    if not wanted:
        return
    for member in members:
        found = member.gpus
        line = row("GPUs", where(member), f"{len(found)} {found[0].name if found else ''}".strip(),
                   f"{wanted} {expected.plan.placement.gpu_product}",
                   Verdict.OK if len(found) == wanted else Verdict.BAD)  # fmt: skip
        yield line, None if len(found) == wanted else Finding(
            code="hardware-gpu-count", severity=Severity.ERROR,
            what=f"{where(member)} sees {len(found)} GPUs of {wanted}",
            why="a GPU fell off the bus, or the container runtime does not pass them on",
            remedy="on the node: nvidia-smi -L; dmesg | grep -i xid; cordon it if one is missing",
        )  # fmt: skip
        yield from _health(member)
    drivers = sorted({g.driver for m in members for g in m.gpus})
    if drivers:
        cuda = sorted({m.cuda or "?" for m in members})
        same = len(drivers) == 1
        line = row("driver", "group", f"{', '.join(drivers)} (CUDA {', '.join(cuda)})",
                   "the same everywhere", Verdict.OK if same else Verdict.SLOW)  # fmt: skip
        yield line, None if same else Finding(
            code="hardware-drivers-differ", severity=Severity.WARNING,
            what=f"the nodes run different drivers: {', '.join(drivers)}",
            remedy="bring the nodes to one driver version",
        )  # fmt: skip


def _health(member: MemberSeen) -> Iterator[Line]:
    faults = [f"GPU {i}: {g.uncorrected} uncorrected ECC errors"
              for i, g in enumerate(member.gpus) if g.uncorrected]  # fmt: skip
    faults += [f"{member.remapping_failed} GPUs could not remap a row"] * bool(
        member.remapping_failed
    )
    faults += [f"{member.inactive_links} NVLinks inactive"] * bool(member.inactive_links)
    faults += [f"NVLink fabric {state}" for state in member.fabric
               if state not in ("Completed", "N/A")]  # fmt: skip
    faults += list(member.xids or ())[-3:]
    doubts = [f"GPU {i} is slowed down by its hardware"
              for i, g in enumerate(member.gpus) if g.is_slowed]  # fmt: skip
    doubts += [f"GPU {i} has {g.memory_used_mib:.0f} MiB in use already"
               for i, g in enumerate(member.gpus) if g.memory_used_mib > USED_MIB]  # fmt: skip
    doubts += ["a row remapping waits for a reset"] * bool(member.remapping_pending)
    seen = "; ".join([*faults, *doubts]) or (
        "no fault" if member.xids is not None else "no fault (kernel log not readable)"
    )
    verdict = Verdict.BAD if faults else Verdict.SLOW if doubts else Verdict.OK
    finding = None
    if faults or doubts:
        finding = Finding(
            code="hardware-gpu-fault",
            severity=Severity.ERROR if faults else Severity.WARNING,
            what=f"{where(member)}: {seen}",
            remedy=f"kubectl cordon {member.node}; then reset the GPU or reboot the node",
        )
    yield row("GPU health", where(member), seen, "no Xid, no ECC error", verdict), finding


def _memory(expected: Expected, members: Sequence[MemberSeen]) -> Iterator[Line]:
    wanted = expected.plan.group.members[0].shm_bytes
    for member in members:
        small = member.shm_bytes < SHM_MARGIN * wanted
        line = row(SHM, where(member), gib(member.shm_bytes), gib(wanted),
                   Verdict.BAD if small else Verdict.OK)  # fmt: skip
        yield line, None if not small else Finding(
            code="hardware-shm-small", severity=Severity.ERROR,
            what=f"{where(member)}: /dev/shm has {gib(member.shm_bytes)} of {gib(wanted)}",
            remedy="kubectl get pod -o yaml: an admission policy may have removed the volume",
        )  # fmt: skip
        if not expected.fabric.is_rdma or expected.is_cpu or len(members) < 2:
            continue
        limit = member.memlock_bytes
        low = limit is not None and limit < MIN_MEMLOCK_BYTES
        line = row("locked memory", where(member), "unlimited" if limit is None else gib(limit),
                   "unlimited", Verdict.BAD if low else Verdict.OK)  # fmt: skip
        yield line, None if not low else Finding(
            code="hardware-memlock", severity=Severity.ERROR,
            what=f"{where(member)} may lock {gib(limit or 0)} of memory: RDMA cannot register",
            remedy="set cluster.rdmaMemlock: capability in the spec, or LimitMEMLOCK=infinity for "
            "the container runtime",
        )  # fmt: skip
        up = [name for name, state, _ in member.rdma if "ACTIVE" in state]
        line = row("RDMA devices", where(member), ", ".join(up) or "none active",
                   str(expected.fabric), Verdict.OK if up else Verdict.BAD)  # fmt: skip
        yield line, None if up else Finding(
            code="hardware-no-rdma", severity=Severity.ERROR,
            what=f"{where(member)} has no active RDMA device, and the plan counts on "
            f"{expected.fabric}",
            remedy="set cluster.rdmaResource to what `kubectl describe node` offers (rdma/...), or "
            "cluster.fabric to the network there is",
        )  # fmt: skip


def _names(expected: Expected, members: Sequence[MemberSeen]) -> Iterator[Line]:
    del expected
    for member in members:
        failed = ", ".join(name for name, _ in member.names)
        line = row("names", where(member), f"not resolved: {failed}" if failed else "all resolve",
                   "all resolve", Verdict.BAD if failed else Verdict.OK)  # fmt: skip
        yield line, None if not failed else Finding(
            code="hardware-name-unresolved", severity=Severity.ERROR,
            what=f"{where(member)} cannot resolve {failed}", why=member.names[0][1],
            remedy="kubectl -n kube-system get pods -l k8s-app=kube-dns; allow port 53 in network "
            "policies",
        )  # fmt: skip
        if member.member and member.clock_offset_s is not None:
            off = abs(member.clock_offset_s)
            late = off - member.clock_uncertain_s > MAX_SKEW_S
            verdict = Verdict.SLOW if late else Verdict.OK
            line = row("clock", where(member), f"{off * 1000:.1f} ms from member 0",
                       f"below {MAX_SKEW_S:.0f} s", verdict)  # fmt: skip
            yield line, None if not late else Finding(
                code="hardware-clock-skew", severity=Severity.WARNING,
                what=f"the clock of {member.node} is {off:.1f} s off",
                remedy=f"on {member.node}: systemctl restart chronyd",
            )  # fmt: skip


def _claim(expected: Expected, members: Sequence[MemberSeen]) -> Iterator[Line]:
    wanted = expected.read_bytes_per_s
    for member in members:
        if member.read_error:
            yield row("claim", where(member), member.read_error, "", Verdict.UNKNOWN), None
        elif member.read_bytes_per_s is not None:
            verdict = share(member.read_bytes_per_s, wanted) if wanted else Verdict.OK
            line = row("claim", where(member), rate(member.read_bytes_per_s),
                       rate(wanted) if wanted else "", verdict)  # fmt: skip
            yield line, None if verdict is Verdict.OK else Finding(
                code="hardware-slow-claim", severity=Severity.WARNING,
                what=f"{where(member)} reads the claim at {rate(member.read_bytes_per_s)}",
                why="the startup budgets count on storage.readRate of the spec",
                remedy="set it to what was measured, so that probes wait long enough",
            )  # fmt: skip


_RULES: Final[tuple[Callable[[Expected, Sequence[MemberSeen]], Iterable[Line]], ...]] = (
    _reported, _gpus, _memory, _names, _claim, links,
)  # fmt: skip
