"""What a GPU's own counters say of its health: DCGM's series and `nvidia-smi`'s reports.

DCGM exporter writes `DCGM_FI_DEV_XID_ERRORS{gpu="3",..} 79` (the last Xid, 0 for none); names and
meanings of its fields: dcgm_fields.h of DCGM 4. The bits of throttle reasons are those of NVML's
nvmlClocksEventReasons. Called by predicates, which names the conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from shardwright.diagnose.cluster_facts import hit_at
from shardwright.diagnose.evidence import Block, Evidence, Hit, Source

_SERIES: Final = r"(?m)^(DCGM_FI_DEV_\w+)\{([^}\n]{0,600})\} ([0-9.]+(?:e[+-]?\d+)?)(?: \d+)?$"
_GPU: Final = r'\bgpu="(\d+)"'
_HOST: Final = r'\b(?:Hostname|node)="([^"]+)"'
_OF_SOFTWARE: Final = frozenset({13, 31, 32, 43, 45})
"""Xids that a program's own fault raises as well (NVIDIA's Xid catalogue)."""
_BROKEN: Final = {
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": "uncorrectable ECC errors since the driver was loaded",
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": "a memory row could not be remapped",
    "DCGM_FI_DEV_ROW_REMAP_PENDING": "a memory row waits for a reset to be remapped",
}
_THROTTLED: Final = ("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS")
_REASONS: Final = {
    0x8: "hardware slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
_SECTION: Final = r"^ +(Volatile|Aggregate|Remapped Rows) *$"
_COUNTED: Final = r"^ +(?:(?:DRAM|SRAM) Uncorrectable[\w ]*|Double Bit[\w ]*) +: ([1-9]\d*)\b"
_PENDING: Final = r"^ +(Pending|Remapping Failure Occurred) +: Yes\b"


def gpu_broken(evidence: Evidence) -> Iterator[Hit]:
    """Find counters that only a fault of the card raises."""
    for block in _blocks(evidence):
        yield from _broken_by_dcgm(block)
        yield from _broken_by_smi(block)


def gpu_throttled(evidence: Evidence) -> Iterator[Hit]:
    """Find a GPU that its own hardware slows down."""
    for block in _blocks(evidence):
        for place, name, labels, value in _samples(block):
            if name in _THROTTLED:
                told = [text for bit, text in _REASONS.items() if int(value) & bit]
                if told:
                    yield hit_at(block, place, what=_what(labels, ", ".join(told)))


def _blocks(evidence: Evidence) -> tuple[Block, ...]:
    return evidence.texts(Source.PROBE, Source.LOG, Source.CLUSTER)


def _samples(block: Block) -> Iterator[tuple[int, str, str, float]]:
    if "DCGM_FI_DEV_" in block.text:
        for match in re2.finditer(_SERIES, block.text):
            yield match.start(), match.group(1), match.group(2), float(match.group(3))


def _broken_by_dcgm(block: Block) -> Iterator[Hit]:
    for place, name, labels, value in _samples(block):
        if name == "DCGM_FI_DEV_XID_ERRORS" and value and int(value) not in _OF_SOFTWARE:
            xid = str(int(value))
            yield hit_at(block, place, xid=xid, what=_what(labels, f"Xid {xid}"))
        elif name in _BROKEN and value:
            yield hit_at(block, place, what=_what(labels, _BROKEN[name]))


def _broken_by_smi(block: Block) -> Iterator[Hit]:
    """Read `nvidia-smi -q`: errors of this driver's life, not those long since remapped."""
    if "NVSMI LOG" not in block.text:
        return
    section, place = "", 0
    for line in block.text.splitlines(keepends=True):
        if found := re2.search(_SECTION, line.rstrip("\n")):
            section = found.group(1)
        elif section == "Volatile" and (found := re2.search(_COUNTED, line)):
            yield hit_at(block, place, what=f"{found.group(1)} uncorrectable errors")
        elif section == "Remapped Rows" and (found := re2.search(_PENDING, line)):
            yield hit_at(block, place, what=f"remapping of a row: {found.group(1).lower()}")
        place += len(line)


def _what(labels: str, told: str) -> str:
    gpu, host = re2.search(_GPU, labels), re2.search(_HOST, labels)
    where = f"GPU {gpu.group(1)}" if gpu else "a GPU"
    return f"{where}{f' of {host.group(1)}' if host else ''}: {told}"
