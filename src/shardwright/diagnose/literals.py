"""The words a pattern cannot match without, and a gate that looks for all of them at once.

Most of a log is lines that say nothing, over and over. One automaton of words that do not occur
there (every pattern needs one of them) reads a chunk in one pass; only where it stops are patterns
looked at. A word keeps the edges its pattern asks for: RoCE, a word of its own, is not in
"processor". Words that a log is full of (`tokens/s`) become hot and are left out for it: a pattern
is then known by another of its words, or runs directly. Called by scanning.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

import re2

_HOT_FROM: Final = 3
"""Chunks of a document with a word, from which it is hot there."""
_MOST_DIRECT: Final = 3
"""Patterns worth running over a whole chunk instead of asking the filter for candidates."""
_ENOUGH_MISSED: Final = 24
"""Chunks let through in a row, after which a document is too varied for the gate to help."""
_LOOKED_AT_BYTES: Final = 1 << 16
"""From the first word on, for what else the chunk is full of."""
_MEMORY_BYTES: Final = 32 << 20
"""What the automaton may take. All causes' words ran out of 16 MiB in November 2026; RE2 then says
so on stderr and falls back to its slow way, which a test looks for.
"""
EDGE: Final = "\b"
"""Stands in a word where the pattern has an edge between a letter and something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Words, in lower case, with their edges: one of `words` if it is a leaf, else of every or of
    any of `parts`.
    """

    words: frozenset[str] = frozenset()
    parts: tuple[Need, ...] = ()
    is_any: bool = False

    def cover(self, hot: frozenset[str]) -> frozenset[str] | None:
        """Choose words of which a match has at least one, none of them hot; None if impossible."""
        if self.words:
            return None if self.words & hot else self.words
        chosen = [part.cover(hot) for part in self.parts]
        if self.is_any:
            known = [each for each in chosen if each is not None]
            return frozenset().union(*known) if known and len(known) == len(chosen) else None
        return max((c for c in chosen if c is not None), key=_rarity, default=None)


def _rarity(words: frozenset[str]) -> tuple[int, int, list[str]]:
    """Prefer long words, then few of them."""
    return (min(map(len, words)), -len(words), sorted(words))


def need_of(pattern: str) -> Need:
    """Read what a pattern needs. Case is ignored, so it asks for too little, never for too much.

    >>> sorted(need_of(r"disk (?:full|quota \\d+)").cover(frozenset()))
    ['disk ']
    >>> sorted(need_of(r"disk (?:full|quota \\d+)").cover(frozenset({"disk "})))
    ['full', 'quota ']
    """
    return _sequence(parser.parse(pattern))


def _sequence(items: Iterable[tuple[Any, Any]], before: bool = False, after: bool = False) -> Need:
    """Read items in a row. before, after: an edge stands on that side of them."""
    parts: list[Need] = []
    items = tuple(items)
    run = EDGE * before
    for place, (operation, argument) in enumerate(items, 1):
        if operation is code.LITERAL:
            run += chr(argument)
        elif operation is code.AT:  # what has no width does not part words
            run += EDGE * (argument is code.AT_BOUNDARY)
        else:
            parts += _leaf(run)
            is_last = place == len(items)
            edged = after if is_last else items[place] == (code.AT, code.AT_BOUNDARY)
            parts += _item(operation, argument, run.endswith(EDGE), edged)
            run = ""
    return Need(parts=(*parts, *_leaf(run + EDGE * after)))


def _item(operation: Any, argument: Any, before: bool, after: bool) -> list[Need]:
    if operation is code.SUBPATTERN:
        return [_sequence(argument[3], before, after)]
    if operation is code.BRANCH:
        return [Need(parts=tuple(_sequence(e, before, after) for e in argument[1]), is_any=True)]
    if operation in (code.MAX_REPEAT, code.MIN_REPEAT) and argument[0] >= 1:
        return [_sequence(argument[2])]
    return []


def _leaf(run: str) -> list[Need]:
    return [Need(words=frozenset({run.lower()}))] if run.strip(EDGE) else []


def _as_pattern(word: str) -> str:
    return r"\b".join(map(re.escape, word.split(EDGE)))


def _has_edge(text: bytes, position: int) -> bool:
    around = text[max(0, position - 1) : position], text[position : position + 1]
    left, right = (each.isalnum() or each == b"_" for each in around)
    return left != right


@dataclass(slots=True)
class Heat:
    """Which words one document is full of, how many chunks of it were read, how many the gate kept
    out, and how many of the last ones it let through for nothing.

    guessed: words taken over from another document, given up once the gate is of no use with them.
    """

    num_chunks: int = 0
    num_missed: int = 0
    num_kept_out: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    hot: frozenset[str] = frozenset()
    guessed: frozenset[str] = frozenset()

    @property
    def is_useful(self) -> bool:
        """Whether the gate kept most chunks out."""
        return 2 * self.num_kept_out > self.num_chunks

    def give_up(self) -> bool:
        """Tell whether there is nothing left to try, and begin anew without a guess otherwise."""
        if self.num_missed <= _ENOUGH_MISSED:
            return False
        if not self.guessed:
            return True
        self.num_missed, self.hot, self.guessed = 0, frozenset(), frozenset()
        return False

    def note(self, words: Iterable[str]) -> None:
        """Count a chunk with these words."""
        self.seen.update(words)
        if any(count == _HOT_FROM for count in self.seen.values()):
            found = {word for word, count in self.seen.items() if count >= _HOT_FROM}
            self.hot = self.guessed | found


class Gate:
    """Tells chunks in which no pattern can match from those worth a look. Shared by threads."""

    def __init__(self, patterns: Sequence[str], always: Sequence[str] = ()) -> None:
        """Read what each pattern needs. always: words in lower case that never become hot."""
        self._needs = tuple(need_of(pattern) for pattern in patterns)
        self._always = frozenset(always)
        self._words = lru_cache(maxsize=8)(self._words_without)

    def _words_without(self, hot: frozenset[str]) -> _Union:
        covers = [need.cover(hot) for need in self._needs]
        words = sorted(self._always.union(*(c for c in covers if c is not None)))
        options = re2.Options()
        options.max_mem = _MEMORY_BYTES
        options.case_sensitive = False
        by_text: dict[bytes, list[str]] = defaultdict(list)
        for word in words:
            by_text[word.replace(EDGE, "").encode()].append(word)
        return _Union(
            compiled=re2.compile("|".join(map(_as_pattern, words)), options), by_text=by_text,
            without=tuple(n for n, cover in enumerate(covers) if cover is None),
        )  # fmt: skip

    def direct(self, chunk: bytes, heat: Heat, done: Iterable[int]) -> tuple[int, ...] | None:
        """Return the patterns to run over the chunk if no other can match there; None: any may.

        done: patterns that are not looked for any more.
        """
        if heat.give_up():
            return None
        heat.num_missed += 1
        union = self._words(heat.hot)
        found = union.compiled.search(chunk)
        if found is not None:
            heat.note(union.words_near(chunk, found.start()) - self._always)
            return None
        left = tuple(set(union.without) - set(done))
        if len(left) > _MOST_DIRECT:
            return None
        heat.num_missed = 0
        heat.num_kept_out += 1
        return tuple(sorted(left))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Union:
    """One automaton of words. by_text: words by what they look like without their edges.

    without: patterns that have no word in it.
    """

    compiled: Any
    by_text: Mapping[bytes, Sequence[str]]
    without: tuple[int, ...]

    def words_near(self, chunk: bytes, start: int) -> frozenset[str]:
        """Return the words in the text that begins here."""
        found: set[str] = set()
        for match in self.compiled.finditer(chunk[start : start + _LOOKED_AT_BYTES]):
            first, last = start + match.start(), start + match.end()
            edges = _has_edge(chunk, first), _has_edge(chunk, last)
            found.update(
                word
                for word in self.by_text.get(match.group().lower(), ())
                if edges[0] >= word.startswith(EDGE) and edges[1] >= word.endswith(EDGE)
            )
        return frozenset(found)
