"""Apply edits to a text: whole fixes or none, from the end backwards, the rest byte for byte."""

from __future__ import annotations

from collections.abc import Iterable

from shardwright.lint.documents import LINE_BREAK
from shardwright.lint.finding import Edit, Fix


def apply_fixes(text: str, fixes: Iterable[Fix]) -> tuple[str, tuple[Fix, ...]]:
    """Apply the fixes that do not collide with an earlier one; return the text and those applied.

    >>> fix = Fix(summary="", edits=(Edit(line=0, column=3, end_line=0, end_column=4, text="2"),))
    >>> apply_fixes("a: 1  # one\\n", [fix])[0]
    'a: 2  # one\\n'
    """
    starts = _line_starts(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    taken: list[tuple[int, int]] = []
    changes: dict[tuple[int, int, str], None] = {}
    applied: list[Fix] = []
    for fix in fixes:
        spans = [_span(edit, starts, text) for edit in fix.edits]
        fresh = [
            (start, end, edit.text)
            for (start, end), edit in zip(spans, fix.edits, strict=True)
            if (start, end, edit.text) not in changes
        ]
        if not fresh or any(_collides(start, end, taken) for start, end, _ in fresh):
            continue
        for start, end, new in fresh:
            taken.append((start, end))
            changes[start, end, new] = None
        applied.append(fix)
    for start, end, new in sorted(changes, reverse=True):
        lacks_newline = start and start == len(text) and text[start - 1] != "\n"
        inserted = (newline if lacks_newline else "") + new.replace("\n", newline)
        text = text[:start] + inserted + text[end:]
    return text, tuple(applied)


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in LINE_BREAK.finditer(text))]


def _span(edit: Edit, starts: list[int], text: str) -> tuple[int, int]:
    def offset(line: int, column: int) -> int:
        return min(len(text), starts[line] + column) if line < len(starts) else len(text)

    return offset(edit.line, edit.column), offset(edit.end_line, edit.end_column)


def _collides(start: int, end: int, taken: list[tuple[int, int]]) -> bool:
    """True if a replacement overlaps; two insertions at one place may follow each other."""
    return any(start < other_end and other_start < end for other_start, other_end in taken)
