"""Lines of an answer on a terminal that is narrower than they are. Pure; called by what prints."""

from __future__ import annotations

import re
import textwrap
from typing import Final

_NARROWEST: Final = 40
"""Columns: on less, a word to a line reads worse than what the terminal breaks itself."""
_LABEL: Final = re.compile(r"- |\d+\. |\S+(?: \S+)? {2,}")


def fold(line: str, width: int | None, hang: int | None = None) -> list[str]:
    """Fold a line between words, what follows under where its words begin.

    width: columns, None for not at all. hang: columns by which the rest stands further in than the
    begin, by default those of a dash, a number or a label that two spaces end. Commands and names
    are never broken within a word.

    >>> fold("  load      32 x 2,304 tokens = 73,728 of 3,191,808: fits", 50)
    ['  load      32 x 2,304 tokens = 73,728 of', '            3,191,808: fits']
    """
    if width is None or len(line) <= width:
        return [line]
    start = line.lstrip(" ")
    if hang is None:
        label = _LABEL.match(start)
        hang = label.end() if label else 0
    return textwrap.wrap(
        line, max(width, _NARROWEST), subsequent_indent=" " * (len(line) - len(start) + hang),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def folded(text: str, width: int | None) -> str:
    """Fold every line of a text."""
    return "\n".join(part for line in text.split("\n") for part in fold(line, width))
