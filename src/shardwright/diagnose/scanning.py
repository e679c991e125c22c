"""One pass over any amount of logs: which patterns match on which lines.

Patterns run in RE2 (linear time, so no line can make them run away). Its filter first looks for the
literal words of all patterns at once over a whole chunk; only patterns whose words are there are
then run. Memory is bounded: a chunk, the heads of the blocks, and a few hits per pattern.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import re2

from shardwright.diagnose.blocks import (
    MARKER_WORD,
    source_of_file,
    source_of_label,
    split_at_markers,
)
from shardwright.diagnose.configuration import WORDS, Reader, Spoken
from shardwright.diagnose.evidence import Block, Document, Evidence, Hit, Source
from shardwright.diagnose.excerpts import Excerpt
from shardwright.diagnose.lines import excerpt, printable, strip_escapes, time_of, worker_of
from shardwright.diagnose.literals import Gate, Heat
from shardwright.diagnose.side_by_side import WORTH_FORKING_BYTES, over_documents

CHUNK_BYTES: Final = 1 << 20
_MAX_HITS: Final = 20
"""Hits kept per pattern and document: the first ones, since we look for first causes."""
_MAX_MATCHES: Final = 200
"""Matches looked at per pattern and chunk."""
_ENOUGH: Final = 1000
"""After so many matches in a document a pattern is no longer run there."""
_CHUNKS_UNGATED: Final = 8
"""Chunks of the first document read without the gate, which takes a tenth of a second to build."""
_LOOK_BACK_BYTES: Final = 2000
_LINE_BYTES: Final = 8000
_FAR_BYTES: Final = 4000
_NEAR_BYTES: Final = 500
"""Of a longer line its start and what is around the match are looked at."""


class Patterns:
    """A set of named RE2 patterns, compiled once and shared by threads."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Compile them; equal patterns under several names are run once."""
        names: dict[str, list[str]] = defaultdict(list)
        for name, pattern in patterns.items():
            names[pattern].append(name)
        self.names: tuple[tuple[str, ...], ...] = tuple(tuple(n) for n in names.values())
        self._filter = re2.Filter()
        self._compiled: list[Any] = []
        for pattern in names:
            self._filter.Add(pattern)
            self._compiled.append(re2.compile(pattern))
        self._filter.Compile()
        self._gate: Gate | None = None
        self._hot: frozenset[str] = frozenset()
        self._texts = tuple(names)

    def gated(self, chunk: bytes, heat: Heat, done: Iterable[int]) -> Iterable[int] | None:
        """Return the indices of the few patterns to run over a chunk in which no other matches and
        no block begins; None: look closer.

        heat: of the document, kept between its chunks. done: patterns not looked for any more.
        """
        heat.num_chunks += 1
        if heat.num_chunks > _CHUNKS_UNGATED:
            self.prepare()
        return None if self._gate is None else self._gate.direct(chunk, heat, done)

    def prepare(self) -> None:
        """Build the gate, so that processes to come inherit it."""
        if self._gate is None:
            self._gate = Gate(self._texts, (MARKER_WORD, *WORDS))

    def heat(self) -> Heat:
        """Begin a document with what the one before was full of: ranks of a group write alike."""
        return Heat(hot=self._hot, guessed=self._hot)

    def learn(self, heat: Heat) -> None:
        """Keep what a document was full of, if the gate was of use there."""
        if heat.is_useful:
            self._hot = heat.hot

    def candidates(self, chunk: bytes) -> Iterable[int]:
        """Return the indices of the patterns whose words are in the chunk."""
        return self._filter.Match(chunk, potential=True) or ()

    def matches(self, index: int, chunk: bytes) -> Iterator[Any]:
        """Find one pattern in the chunk."""
        found: Iterator[Any] = self._compiled[index].finditer(chunk)
        return found

    def groups(self, index: int, line: str) -> dict[str, str | None]:
        """Return what one pattern's named groups catch in a line; of a match over a whole chunk
        RE2's binding takes milliseconds to say it."""
        match = self._compiled[index].search(line)
        caught: dict[str, str | None] = match.groupdict() if match else {}
        return caught


@dataclass(slots=True)
class _Scan:
    """The running state for one document."""

    document: str
    patterns: Patterns
    blocks: list[Block] = field(default_factory=list)
    excerpts: list[Excerpt] = field(default_factory=list)
    hits: dict[str, list[Hit]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    line: int = 1
    done: set[int] = field(default_factory=set)
    heat: Heat = field(init=False)
    objects: Reader = field(default_factory=Reader)
    num_asked: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.heat = self.patterns.heat()

    def begin(self, label: str, source: Source) -> None:
        index = len(self.blocks)
        block = Block(
            document=self.document, index=index, source=source, label=label, first_line=self.line,
            text="",
        )  # fmt: skip
        self.blocks.append(block)
        self.excerpts.append(Excerpt(block))
        self.objects = Reader(is_log=source is Source.LOG)

    def feed(self, lines: bytes) -> None:
        """Take whole lines."""
        text = strip_escapes(lines)
        if b"\\" in text and b'\\"' in text:  # quotes inside JSON strings; one byte is quicker
            text = text.replace(b'\\"', b'"')
        few = self.patterns.gated(text, self.heat, self.done) if self.blocks else None
        if few is not None:  # no object begins here; one that began before may go on
            self._take(text, few, self.objects.read(text) if self.objects.is_inside else Spoken())
            return
        for label, part in split_at_markers(text):
            if label is not None:
                self.line += 1
                self.begin(label, source_of_label(label))
            elif not self.blocks:
                head = part[:4000].decode("utf-8", "replace")
                self.begin("", source_of_file(self.document, head))
            self._take(part, self.patterns.candidates(part), self.objects.read(part))

    def _take(self, part: bytes, indices: Iterable[int], spoken: Spoken) -> None:
        """Run patterns over lines of the last block."""
        for index in indices:
            if index not in self.done:
                self._look(index, part, spoken)
        self.line += part.count(b"\n")
        self.excerpts[-1].add(part, self.line)

    def _source(self, spoken: Spoken, offset: int) -> Source:
        """Say who speaks at an offset of the part: an object, or the block."""
        block = self.blocks[-1]
        if block.source is Source.MANIFEST and not block.label and self.objects.has_left:
            return spoken.source_at(offset) or Source.LOG  # a paste that only began with an object
        return spoken.source_at(offset) or block.source

    def _look(self, index: int, part: bytes, spoken: Spoken) -> None:
        names = self.patterns.names[index]
        seen, counted_to, line, last = 0, 0, self.line, (-1, Source.LOG)
        for match in self.patterns.matches(index, part):
            seen += 1
            if seen > _MAX_MATCHES:
                break
            start = part.rfind(b"\n", 0, match.start()) + 1
            source = self._source(spoken, match.start())
            if (start, source) == last:
                continue
            last = (start, source)
            if source is Source.MANIFEST:  # apart, lest it takes the places of what happened
                seen -= 1
                self.num_asked[index] += 1
                if self.num_asked[index] > _MAX_HITS:
                    continue
            else:
                for name in names:
                    self.counts[name] += 1
                if self.counts[names[0]] > _MAX_HITS:
                    continue
            line += part.count(b"\n", counted_to, start)
            counted_to = start
            hit = self._hit(part, (start, match.start(), match.end()), index, line, source)
            for name in names:
                self.hits[name].append(hit)
        if self.counts[names[0]] > _ENOUGH:
            self.done.add(index)

    def _hit(
        self, part: bytes, place: tuple[int, int, int], index: int, line: int, source: Source
    ) -> Hit:
        start, found, match_end = place
        end = part.find(b"\n", match_end)
        raw = part[start : end if end >= 0 else len(part)]
        offset = found - start
        if offset > _FAR_BYTES:  # JSON logs keep whole tracebacks in one line
            raw = raw[:_NEAR_BYTES] + b" ... " + raw[offset - _NEAR_BYTES :]
            offset = 2 * _NEAR_BYTES + len(b" ... ")
        text = raw[:_LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
        shown, at = excerpt(text, len(raw[:offset].decode("utf-8", "replace")))
        before = part[max(0, start - _LOOK_BACK_BYTES) : start].decode("utf-8", "replace")
        values = {
            key.rstrip("0123456789"): printable(value).strip()
            for key, value in self.patterns.groups(index, text).items()
            if value
        }
        return Hit(
            document=self.document, block=len(self.blocks) - 1,
            source=source, line=line, text=shown, at=at,
            worker=worker_of(text), time_s=_time(text, before), values=values,
        )  # fmt: skip


def _time(text: str, before: str) -> float | None:
    stamp = time_of(text)
    for earlier in reversed(before.splitlines()[1:]):
        if stamp is not None:
            break
        stamp = time_of(earlier)
    return stamp


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Regroup chunks at line ends; a line longer than a chunk is cut."""
    carried = b""
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if cut == len(chunk) and not carried:
            yield chunk
            continue
        if cut == 0 and len(carried) < CHUNK_BYTES:
            carried += chunk
            continue
        yield carried + chunk[:cut]
        carried = chunk[cut:]
    if carried:
        yield carried


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scanned:
    """What one document holds; block numbers are its own, and several pieces may share one."""

    num_blocks: int
    blocks: tuple[Block, ...]
    hits: Mapping[str, list[Hit]]
    counts: Counter[str]


def _scan_document(document: Document, patterns: Patterns) -> _Scanned:
    scan = _Scan(document.name, patterns)
    for lines in _whole_lines(document.chunks):
        if lines:
            scan.feed(lines)
    patterns.learn(scan.heat)
    pieces = tuple(piece for excerpt in scan.excerpts for piece in excerpt.pieces())
    return _Scanned(
        num_blocks=len(scan.blocks), blocks=pieces, hits=dict(scan.hits), counts=scan.counts
    )


def scan(documents: Iterable[Document], patterns: Patterns, *, num_workers: int = 2) -> Evidence:
    """Read every document once and return what matched, whatever the number of workers."""
    documents = list(documents)
    if sum(each.num_bytes or 0 for each in documents) >= WORTH_FORKING_BYTES:
        patterns.prepare()
    scans = over_documents(partial(_scan_document, patterns=patterns), documents, num_workers)
    blocks: list[Block] = []
    hits: dict[str, list[Hit]] = defaultdict(list)
    counts: Counter[str] = Counter()
    offset = 0
    for each in scans:
        blocks += [replace(block, index=block.index + offset) for block in each.blocks]
        for name, found in each.hits.items():
            hits[name] += [replace(hit, block=hit.block + offset) for hit in found]
        counts.update(each.counts)
        offset += each.num_blocks
    return Evidence(
        blocks=tuple(blocks), hits={k: tuple(v) for k, v in hits.items()}, counts=dict(counts)
    )
