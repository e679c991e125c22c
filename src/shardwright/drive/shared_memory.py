"""Whose the files in /dev/shm are, where members share it: seen while a process has them mapped.

An engine that is killed leaves its shared memory behind; only what the rehearsal's own processes
mapped is counted and removed. Called by the guardian.
"""

from __future__ import annotations

from shardwright.drive import proctree

Key = tuple[int, int]
"""A process: its id and its start, in ticks; the id alone may be given again."""


class SharedMemory:
    """The files of a rehearsal, by member; what was there before it is nobody's."""

    def __init__(self) -> None:
        self._before = self._seen = _files()
        self._read: set[Key] = set()
        self._read_at: frozenset[str] = frozenset()
        self._owner_of: dict[str, int] = {}

    def has_grown(self) -> bool:
        """Tell whether there is a file that was not there at the last call."""
        files = _files()
        if files <= self._seen:
            return False
        self._seen |= files
        return True

    def look_afresh(self) -> None:
        """Let the next look read every process again."""
        self._seen |= _files()
        self._read.clear()

    def look(self, members: dict[Key, int]) -> None:
        """Note what these processes have mapped. Reads again only what may have changed."""
        for key, member in members.items():
            if key not in self._read or self._seen != self._read_at:
                self._read.add(key)
                for name in proctree.shm_names(key[0]) - self._before:
                    self._owner_of.setdefault(name, member)
        self._read_at = self._seen

    def used_bytes(self, member: int) -> int:
        """Sum the sizes of a member's files."""
        mine = (name for name, owner in self._owner_of.items() if owner == member)
        return sum(proctree.shm_size_bytes(name) for name in mine)

    def remove(self) -> list[str]:
        """Remove every file of the rehearsal; return the names of those still there."""
        removed = []
        for name in sorted(self._owner_of):
            try:
                (proctree.SHM / name).unlink()
                removed.append(name)
            except OSError:
                continue  # its own program removed it, as it should
        self._owner_of.clear()
        return removed


def _files() -> frozenset[str]:
    return frozenset(entry.name for entry in proctree.SHM.iterdir())
