"""What /proc tells about a tree of processes: who descends from whom, their memory, their /dev/shm.

Read by the guardian, which must know every descendant of what it started, also those that left
their parent. Linux only; every reading may race with an ending process and then leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
SHM = Path("/dev/shm")  # noqa: S108  (not a temporary file: the mount that is watched)


@dataclass(frozen=True, slots=True)
class Proc:
    """One process at one moment; start_ticks tells a reused pid from the old one."""

    pid: int
    parent: int
    start_ticks: int
    name: str
    is_zombie: bool


def parse_stat(text: str) -> Proc:
    """Read /proc/PID/stat; the name may hold spaces and brackets. Source: proc_pid_stat(5).

    >>> parse_stat("7 (VLLM::Worker (1)) S 3 7 7 0 -1 0 1 0 0 0 1 1 0 0 20 0 9 0 4711 1 1")
    Proc(pid=7, parent=3, start_ticks=4711, name='VLLM::Worker (1)', is_zombie=False)
    """
    opened, closed = text.index("("), text.rindex(")")
    rest = text[closed + 2 :].split()
    return Proc(
        pid=int(text[:opened]),
        parent=int(rest[1]),
        start_ticks=int(rest[19]),
        name=text[opened + 1 : closed],
        is_zombie=rest[0] == "Z",
    )


def processes() -> tuple[Proc, ...]:
    """Every process that can be seen now."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found.append(parse_stat((entry / "stat").read_text(errors="replace")))
            except OSError:
                continue  # ended meanwhile
    return tuple(found)


def descendants(root: int, seen: tuple[Proc, ...]) -> tuple[Proc, ...]:
    """Of some processes, those that descend from root, parents before children.

    >>> a, b, c = (Proc(p, q, 1, "x", False) for p, q in ((5, 2), (6, 5), (7, 1)))
    >>> [p.pid for p in descendants(2, (c, b, a))]
    [5, 6]
    """
    children: dict[int, list[Proc]] = {}
    for proc in seen:
        children.setdefault(proc.parent, []).append(proc)
    order: list[Proc] = []
    waiting = [root]
    while waiting:
        mine = children.get(waiting.pop(0), [])
        order.extend(mine)
        waiting.extend(p.pid for p in mine)
    return tuple(order)


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process, bytes; 0 once it has ended.

    Source: proc_pid_smaps(5), "smaps_rollup": Pss counts a page shared by n processes as 1/n.
    """
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # ended meanwhile
    return 0


def shm_names(pid: int) -> frozenset[str]:
    """Names below /dev/shm that a process has mapped or open."""
    prefix = f"{SHM}/"
    found = set()
    try:
        for line in (PROC / str(pid) / "maps").read_text(errors="replace").splitlines():
            at = line.find(prefix)
            if at >= 0:
                found.add(line[at + len(prefix) :].removesuffix(" (deleted)"))
        for entry in (PROC / str(pid) / "fd").iterdir():
            target = str(entry.readlink())
            if target.startswith(prefix):
                found.add(target.removeprefix(prefix).removesuffix(" (deleted)"))
    except OSError:
        pass  # ended meanwhile
    return frozenset(found)


def listeners() -> dict[str, int]:
    """Inode of every listening TCP socket of this network namespace, and its port.

    Source: proc_pid_net(5), net/tcp: local address, state (0A is listening), inode.
    """
    found = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue  # no IPv6
        for fields in (line.split() for line in lines):
            if fields[3] == "0A":
                found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


def sockets(pid: int) -> frozenset[str]:
    """Inodes of the sockets a process has open."""
    found = set()
    try:
        for entry in (PROC / str(pid) / "fd").iterdir():
            target = str(entry.readlink())
            if target.startswith("socket:["):
                found.add(target.removeprefix("socket:[").removesuffix("]"))
    except OSError:
        pass  # ended meanwhile, or another user's
    return frozenset(found)


def shm_size_bytes(name: str) -> int:
    """Memory that a file below /dev/shm holds, bytes; 0 if it is gone."""
    try:
        return (SHM / name).stat().st_blocks * 512
    except OSError:
        return 0
