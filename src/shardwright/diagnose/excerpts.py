"""What is kept of a block as text, for conditions that one line cannot show.

Of manifests and descriptions all of it, up to a megabyte. A log may be any size: of it the head is
kept (settings, the start), the tail (how things stand now), and from between the last line of each
chunk that tells the load, since a crash may fill the tail with tracebacks. Called by scanning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from shardwright.diagnose.evidence import MAX_KEPT_BYTES, Block, Source

END_BYTES: Final = 256 << 10
"""Kept of a log at either end; some thousand lines."""
_MOST_BETWEEN: Final = 64
"""Chunks, the last ones, of which a line of load is kept."""
_LOAD_WORDS: Final = (b"Running: ", b"Decode batch")
"""What vLLM and SGLang print every few seconds: requests running and waiting, use of the cache."""
_SEARCHED_BYTES: Final = 64 << 10
"""From a chunk's end, for such a line."""


@dataclass(slots=True)
class Excerpt:
    """The text kept of one block, as it grows."""

    block: Block
    head: bytearray = field(default_factory=bytearray)
    tail: bytes = b""
    line_after: int = 0
    between: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=_MOST_BETWEEN))

    def add(self, part: bytes, line_after: int) -> None:
        """Take whole lines. line_after: number of the line that follows them."""
        is_log = self.block.source is Source.LOG
        room = (END_BYTES if is_log else MAX_KEPT_BYTES) - len(self.head)
        if room > 0:
            self.head += part[:room]
        if room >= len(part) or not is_log:
            return
        rest = part[max(room, 0) :]
        for word in _LOAD_WORDS:
            place = rest.rfind(word, max(0, len(rest) - _SEARCHED_BYTES))
            if place >= 0:
                start, end = rest.rfind(b"\n", 0, place) + 1, rest.find(b"\n", place)
                line = rest[start : end if end >= 0 else None]
                self.between.append((line_after - rest.count(b"\n", start), line))
        self.tail = (rest if len(rest) >= END_BYTES else self.tail + rest)[-END_BYTES:]
        self.line_after = line_after

    def pieces(self) -> Iterator[Block]:
        """Return what was kept, in order, each with the number of its first line."""
        yield replace(self.block, text=_text(self.head))
        if not self.tail:
            return
        cut = self.tail.find(b"\n") + 1 if len(self.tail) == END_BYTES else 0
        tail = self.tail[cut:]
        first = self.line_after - tail.count(b"\n")
        for line, text in self.between:
            if line < first:
                yield replace(self.block, first_line=line, text=_text(text))
        yield replace(self.block, first_line=first, text=_text(tail))


def _text(kept: bytes | bytearray) -> str:
    return bytes(kept).decode("utf-8", "replace")
