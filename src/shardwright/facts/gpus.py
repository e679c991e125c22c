"""GPUs: memory as the driver reports it, peak rates, links. Data and sources: data/gpus.csv."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from shardwright.facts.aliases import canonical, nearest
from shardwright.facts.table import optional_float, optional_int, rows
from shardwright.model.errors import usage_error
from shardwright.model.origin import Origin
from shardwright.model.units import GIB, MIB

DRIVER_RESERVE_BYTES = round(0.5 * GIB)
"""nvidia-smi's total less what CUDA shows, where only the former is known: 0.45 to 0.71 GiB on the
GPUs of data/gpus.csv that have both."""


_WITH_TOTAL = re.compile(r"^(.+?)\s*\(([0-9.]+)\s*GiB\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU model. Rates are dense peak operations/s and bytes/s (decimal); None: not found.

    memory_bytes is the total CUDA reports, the one engines take their share of; memory_origin is
    assumed where only nvidia-smi's larger figure is known. scaleup_bytes_per_s is NVLink or xGMI,
    all links, both directions together. domain_gpus: GPUs one scale-up network joins.
    """

    id: str
    memory_bytes: int
    memory_origin: Origin
    nominal_gb: int
    bandwidth_bytes_per_s: float
    bf16_flops: float | None
    fp8_flops: float | None
    fp4_flops: float | None
    int8_ops: float | None
    scaleup: str | None
    scaleup_bytes_per_s: float | None
    pcie_gen: int | None
    compute_capability: str
    tdp_w: float | None
    source: str
    note: str

    @property
    def has_nvswitch(self) -> bool:
        """Whether every GPU of a node reaches every other at full scale-up rate."""
        return self.scaleup is not None and ("NVSwitch" in self.scaleup or "NVL" in self.id)

    @property
    def domain_gpus(self) -> int:
        """GPUs joined by one scale-up network: 72 for an NVL72 rack, else one node's 8."""
        if self.scaleup and "72-GPU" in self.scaleup:
            return 72
        return 8 if self.scaleup else 1

    @property
    def is_amd(self) -> bool:
        """Whether this is an AMD Instinct."""
        return self.compute_capability.startswith("gfx")


@cache
def gpus() -> dict[str, Gpu]:
    """Return every GPU whose memory is known, by id."""
    return {row["id"]: gpu for row in rows("gpus.csv", "spec_source") if (gpu := _gpu(row))}


def gpu(name: str) -> Gpu:
    """Return a GPU by any of its names; an unknown one is an error with the nearest known names.

    A memory figure in parentheses, as some logs write it, is taken for the total.

    >>> gpu("h100_sxm").id, gpu("H200").nominal_gb
    ('H100-SXM', 141)
    >>> round(gpu("H100-80GB(79.11GiB)").memory_bytes / 2**30, 2)
    79.11
    """
    bare, total = name, None
    if match := _WITH_TOTAL.match(name):
        bare, total = match[1], round(float(match[2]) * GIB)
    key = canonical("gpu", bare)
    if key not in gpus():
        key = next((g for g in gpus() if g.lower() == bare.lower()), None)
    if key is None:
        near = nearest(bare, gpus())
        raise usage_error(
            "unknown-gpu",
            f"{bare!r} is not a GPU we have figures for",
            remedy=f"use one of {', '.join(near or gpus())}",
        )
    found = gpus()[key]
    if total is None:
        return found
    return replace(found, memory_bytes=total, memory_origin=Origin.MEASURED)


def _gpu(row: dict[str, str]) -> Gpu | None:
    memory, origin = optional_int(row, "memory_bytes"), Origin.MEASURED
    if memory is None:
        smi = optional_int(row, "nvidia_smi_total_mib")
        if smi is None:
            return None
        memory, origin = smi * MIB - DRIVER_RESERVE_BYTES, Origin.ASSUMED
    pcie = re.match(r"\d+", row["pcie_gen"])
    return Gpu(
        id=row["id"],
        memory_bytes=memory,
        memory_origin=origin,
        nominal_gb=int(row["memory_nominal_gb"]),
        bandwidth_bytes_per_s=float(row["mem_bw_bytes_s"]),
        bf16_flops=optional_float(row, "bf16_dense_flops"),
        fp8_flops=optional_float(row, "fp8_dense_flops"),
        fp4_flops=optional_float(row, "fp4_dense_flops"),
        int8_ops=optional_float(row, "int8_dense_ops"),
        scaleup=row["scaleup_kind"] or None,
        scaleup_bytes_per_s=optional_float(row, "scaleup_total_bidir_bytes_s"),
        pcie_gen=int(pcie[0]) if pcie else None,
        compute_capability=row["compute_capability"],
        tdp_w=optional_float(row, "tdp_w"),
        source=row["spec_source"],
        note=row["note"],
    )
