"""What this machine offers, for the checks before a rehearsal or before an engine is installed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from shardwright.drive import proctree
from shardwright.rehearse.preflight import Machine

_PROC = Path("/proc")


def observe(programs_in: Path | None) -> Machine:
    """Look at this machine; programs_in: the engine's executables, if they are here yet."""
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        cpu_flags=cpu_flags(),
        memory_available_bytes=_memory_available_bytes(),
        shm_free_bytes=_free_bytes(Path("/dev/shm")),  # noqa: S108
        listening=_listening(),
        programs=_executables(programs_in) if programs_in else frozenset(),
    )


def cpu_flags() -> frozenset[str]:
    """Return the instructions of this machine's CPU, as /proc/cpuinfo names them."""
    for line in _lines(_PROC / "cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _memory_available_bytes() -> int:
    """MemAvailable, or what the control group leaves if that is less."""
    machine = 0
    for line in _lines(_PROC / "meminfo"):
        if line.startswith("MemAvailable:"):
            machine = int(line.split()[1]) * 1024
    group = Path("/sys/fs/cgroup")
    limit, used = (next(iter(_lines(group / f"memory.{f}")), "max") for f in ("max", "current"))
    if limit.isdigit() and used.isdigit():
        return min(machine, int(limit) - int(used))
    return machine


def _free_bytes(path: Path) -> int:
    try:
        stat = os.statvfs(path)
    except OSError:
        return 0
    return stat.f_bavail * stat.f_frsize


def _executables(folder: Path) -> frozenset[str]:
    try:
        return frozenset(p.name for p in folder.iterdir() if os.access(p, os.X_OK))
    except OSError:
        return frozenset()


def _listening() -> Mapping[int, str]:
    """TCP ports that some program here listens on, and which program, where that can be seen."""
    inodes = proctree.listeners()
    owners = dict.fromkeys(inodes.values(), "a program that cannot be seen from here")
    for process in proctree.processes():
        for inode in proctree.sockets(process.pid) & inodes.keys():
            owners[inodes[inode]] = f"{process.name} (process {process.pid})"
    return owners


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
