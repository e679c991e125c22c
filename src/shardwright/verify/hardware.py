"""What the pods of a hardware check reported, as values. Read here, judged in `hardware_rules`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from shardwright.model.finding import Finding

MARK: Final = "SHARDWRIGHT-HARDWARE "


class Verdict(Enum):
    """How a measured value stands to what was expected."""

    OK = "ok"
    SLOW = "slow"
    BAD = "bad"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSeen:
    """One GPU of a pod. uncorrected: ECC errors since the driver was loaded, None: not counted."""

    name: str
    driver: str
    memory_used_mib: float
    uncorrected: int | None
    is_slowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSeen:
    """What one rank measured. bus rates: all-reduce of the largest size, bytes/s; latency_s: of the
    smallest. peers: which GPUs of its pod it reads directly. error: why it measured less."""

    local: int
    error: str | None = None
    inside_bus: float | None = None
    group_bus: float | None = None
    group_latency_s: float | None = None
    pair_inside: float | None = None
    pairs_across: tuple[tuple[int, int, float], ...] = ()
    transports: tuple[tuple[str, int], ...] = ()
    peers: tuple[bool, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSeen:
    """What one pod found. names: unresolved name -> why. Bytes, seconds; None: not known."""

    member: int
    node: str
    gpus: tuple[GpuSeen, ...]
    cuda: str | None
    nvlink_rates: tuple[tuple[float, ...], ...]
    inactive_links: int
    fabric: tuple[str, ...]
    remapping_failed: int
    remapping_pending: int
    xids: tuple[str, ...] | None
    shm_bytes: int
    memlock_bytes: int | None
    rdma: tuple[tuple[str, str, str], ...]
    names: tuple[tuple[str, str], ...]
    clock_offset_s: float | None
    clock_uncertain_s: float
    read_bytes_per_s: float | None
    read_error: str | None
    ranks: tuple[RankSeen, ...]

    def transports(self) -> Counter[str]:
        """Count the transports of all ranks."""
        total: Counter[str] = Counter()
        for rank in self.ranks:
            total.update(dict(rank.transports))
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: what, where, measured, expected, and how they compare."""

    check: str
    where: str
    measured: str
    expected: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareVerdict:
    """The answer of a hardware check."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against starting the group here."""
        return not any(row.verdict is Verdict.BAD for row in self.rows)


def read_member(log: str) -> MemberSeen | None:
    """Find the report in a pod's log; None if it wrote none."""
    for line in log.splitlines():
        if line.startswith(MARK):
            try:
                return _member(json.loads(line[len(MARK) :]))
            except (ValueError, KeyError, TypeError, AttributeError):
                return None
    return None


def _member(raw: dict[str, Any]) -> MemberSeen:
    clock, claim = raw.get("clock", {}), raw.get("claim", {})
    xids = raw.get("xids")
    return MemberSeen(
        member=int(raw["member"]),
        node=str(raw["node"]),
        gpus=tuple(_gpu(each) for each in raw.get("gpus", [])),
        cuda=raw.get("cuda_version"),
        nvlink_rates=tuple(tuple(each) for each in raw.get("nvlink_gb_per_s", [])),
        inactive_links=int(raw.get("inactive_links", 0)),
        fabric=tuple(raw.get("fabric", [])),
        remapping_failed=int(raw.get("remapping_failed", 0)),
        remapping_pending=int(raw.get("remapping_pending", 0)),
        xids=None if xids is None else tuple(xids),
        shm_bytes=int(raw["shm_bytes"]),
        memlock_bytes=raw["memlock_bytes"],
        rdma=tuple((d["name"], d["state"], d["rate"]) for d in raw.get("rdma", [])),
        names=tuple(
            (name, each["error"]) for name, each in raw.get("names", {}).items() if "error" in each
        ),
        clock_offset_s=clock.get("offset_s"),
        clock_uncertain_s=clock.get("uncertain_s", 0.0),
        read_bytes_per_s=claim.get("bytes_per_s"),
        read_error=claim.get("error"),
        ranks=tuple(_rank(each) for each in raw.get("ranks", [])),
    )


def _gpu(raw: dict[str, str]) -> GpuSeen:
    errors = raw.get("ecc.errors.uncorrected.volatile.total", "")
    used = raw.get("memory.used", "")
    return GpuSeen(
        name=raw.get("name", ""),
        driver=raw.get("driver_version", ""),
        memory_used_mib=float(used) if used.replace(".", "", 1).isdigit() else 0.0,
        uncorrected=int(errors) if errors.isdigit() else None,
        is_slowed=raw.get("clocks_throttle_reasons.hw_slowdown") == "Active",
    )


def _rank(raw: dict[str, Any]) -> RankSeen:
    inside, group = raw.get("inside") or [], raw.get("group") or []
    ended = raw.get("exit", 0)
    error = raw.get("error")
    if error is None and ended:
        error = "ran out of time" if ended == -14 else f"ended with status {ended}"
    return RankSeen(
        local=int(raw["local"]),
        error=error,
        inside_bus=inside[-1]["bus_bytes_per_s"] if inside else None,
        group_bus=group[-1]["bus_bytes_per_s"] if group else None,
        group_latency_s=group[0]["seconds"] if group else None,
        pair_inside=(raw.get("pair_inside") or {}).get("bytes_per_s"),
        pairs_across=tuple(
            (p["from"], p["to"], p["bytes_per_s"]) for p in raw.get("pairs_across", [])
        ),
        transports=tuple(sorted(raw.get("transports", {}).items())),
        peers=tuple(raw.get("peers", [])),
        warnings=tuple(raw.get("nccl_warnings", [])),
    )
