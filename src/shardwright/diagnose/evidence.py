"""What the doctor is given and what it noticed there.

A `Document` is one file, stream or piped text; it falls into blocks of one `Source` each (an
operator pastes logs, events and manifests into one file). A `Hit` is one line that said something.
Called by scanning, predicates, ranking and the report; nothing here reads a disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardwright.diagnose.planned import Planned

MAX_KEPT_BYTES = 1 << 20
"""Bytes of one block kept as text for predicates. Manifests and `kubectl describe` are far
smaller; of logs, which are not, less is kept."""


class Source(Enum):
    """Where a block of evidence comes from; it decides which signals may count there."""

    LOG = "log"
    """What a process printed: engine, Ray, NCCL, a launch script, the kernel."""
    CLUSTER = "cluster"
    """What Kubernetes says: describe, get, events."""
    MANIFEST = "manifest"
    """What was asked for: Kubernetes objects, commands, model configuration."""
    PROBE = "probe"
    """What somebody looked up: kubectl exec, nvidia-smi, df, ip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One input. chunks: raw bytes in order, of any size, read once. num_bytes: all, if known."""

    name: str
    chunks: Iterable[bytes]
    num_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One run of lines of the same source, or a piece of it. text: escapes removed.

    index: position among all blocks of all documents; the pieces kept of a long log share it.
    label: the marker's own words.
    """

    document: str
    index: int
    source: Source
    label: str
    first_line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One line that matched.

    line counts from 1. worker: the process that spoke ("rank 3", "DP0", "10.1.44.7"), as far as
    its prefix tells. time_s: seconds since 1 January of the line's year, None where no stamp is
    near; years are left out because most engines leave them out. at: where in the text it matched.
    """

    document: str
    block: int
    source: Source
    line: int
    text: str
    worker: str | None = None
    time_s: float | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    at: int = 0

    @property
    def order(self) -> tuple[int, int]:
        """Position in the evidence, for comparing lines that carry no time."""
        return (self.block, self.line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything noticed. hits: by signal name; counts: all matches, kept or not. planned: what the
    evidence is held against, None where nobody said. stale: (document, line) of what no longer
    holds -> why.
    """

    blocks: tuple[Block, ...]
    hits: Mapping[str, tuple[Hit, ...]]
    counts: Mapping[str, int]
    planned: Planned | None = None
    stale: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def texts(self, *sources: Source) -> tuple[Block, ...]:
        """Return the blocks of these sources, all blocks if none is named."""
        return tuple(b for b in self.blocks if not sources or b.source in sources)
