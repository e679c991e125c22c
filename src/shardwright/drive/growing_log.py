"""A log file read as a program writes it, line by line. Called by drive/processes."""

from __future__ import annotations

import re
from pathlib import Path

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class GrowingLog:
    """Lines of one file that were not read yet; a file of an earlier run is removed."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.path = path
        self._at = 0
        self._rest = b""

    def read_lines(self, *, to_end: bool = False) -> tuple[str, ...]:
        """Return the whole lines since the last call, without colours; to_end: and what is left."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return ()
        self._at += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        if to_end and self._rest:
            lines.append(self._rest)
            self._rest = b""
        return tuple(_COLOUR.sub("", line.decode(errors="replace").rstrip("\r")) for line in lines)
