"""A script's text to words and operators, in linear time and without ever failing.

Words keep their parts (literal, variable, command substitution) because expansion depends on what
ran before; `script` does that. What is malformed reads as literal text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

MAX_SCRIPT = 200_000
"""Characters of a script that are read; a longer one is no launch script."""


class PartKind(Enum):
    """What a piece of a word is."""

    LITERAL = "literal"
    VARIABLE = "variable"
    COMMAND = "command"


class Part(NamedTuple):
    """One piece of a word. text: the literal, the inside of `${...}`, or the command."""

    kind: PartKind
    text: str
    is_quoted: bool


class Word(NamedTuple):
    """A word on its line (from 0)."""

    parts: tuple[Part, ...]
    line: int


class Operator(NamedTuple):
    """A control operator, a redirection, or a newline. body: a here-document's text."""

    text: str
    line: int
    body: str = ""


class Run(NamedTuple):
    """Plain words in a row: unquoted literals, nothing to fill in."""

    texts: list[str]
    line: int


def plain_word(text: str, line: int) -> Word:
    """Make a word of plain text."""
    return Word((Part(PartKind.LITERAL, text, is_quoted=False),), line)


Token = Word | Run | Operator

_OPERATORS = re.compile(r"\n|&&|\|\||;;&?|;&|\|&|[;&|()]")
_REDIRECT = re.compile(r"[0-9]*(?:<<<|<<-?|>>|>&|<&|<>|>\||[<>])|&>>?")
_MAY_REDIRECT = frozenset("0123456789<>&")
_MAY_CONTROL = frozenset("\n&|;()")
_PLAIN = re.compile(r"[^ \t\r\n\\'\"$`;&|()<>]+")
# most words are plain from end to end, and so are those beside them
_RUN = re.compile(
    r"(?:[ \t\r]*[^ \t\r\n\\'\"$`;&|()<>#][^ \t\r\n\\'\"$`;&|()<>]*+(?=[ \t\r\n]|\Z))+"
)
_OTHER_BLANK = re.compile(r"[^\S \t\r\n]")
_BLANKS = re.compile(r"[ \t\r]+")
_QUOTED = re.compile(r'[^"\\$`\n]+')
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_BLANK = " \t\r"


class Lexer:
    """Splits one script. Iterate over `tokens()` once."""

    def __init__(self, script: str) -> None:
        self.text = script[:MAX_SCRIPT]
        self.at = 0
        self.line = 0
        self.heredocs: list[tuple[str, bool, int]] = []

    def tokens(self) -> Iterator[Token]:
        """Yield words and operators in order; a here-document's body follows as `<<` operator."""
        text, run = self.text, _RUN.match
        # a shell splits at these alone; str.split also at what is no blank to it, such as U+00A0
        splits_alike = _OTHER_BLANK.search(text) is None
        while self.at < len(text):
            if match := run(text, self.at):
                self.at = match.end()
                plain = match[0]
                yield Run(
                    plain.split() if splits_alike else _BLANKS.split(plain.strip(_BLANK)),
                    self.line,
                )
                continue
            char = text[self.at]
            if char in _BLANK:
                self.at += 1
            elif text.startswith("\\\n", self.at):
                self.at += 2
                self.line += 1
            elif char == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif char in _MAY_REDIRECT and (match := _REDIRECT.match(text, self.at)):
                yield from self._redirect(match)
            elif char in _MAY_CONTROL and (match := _OPERATORS.match(text, self.at)):
                self.at = match.end()
                yield Operator(match[0], self.line)
                if match[0] == "\n":
                    self.line += 1
                    yield from self._bodies()
            else:
                yield self._word()

    def _redirect(self, match: re.Match[str]) -> Iterator[Token]:
        self.at = match.end()
        operator = match[0].lstrip("0123456789")
        if operator in {"<<", "<<-"}:
            while self.at < len(self.text) and self.text[self.at] in _BLANK:
                self.at += 1
            word = self._word()
            delimiter = "".join(part.text for part in word.parts)
            self.heredocs.append((delimiter, operator == "<<-", self.line))
        else:
            yield Operator(operator, self.line)

    def _bodies(self) -> Iterator[Token]:
        """Read the here-documents announced on the line that just ended."""
        for delimiter, strips_tabs, line in self.heredocs:
            body: list[str] = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                row = self.text[self.at : end]
                self.at = min(end + 1, len(self.text))
                self.line += 1
                if strips_tabs:
                    row = row.lstrip("\t")
                if row.strip() == delimiter:
                    break
                body.append(row)
            yield Operator("<<", line, "\n".join(body))
        self.heredocs.clear()

    def _word(self) -> Word:
        parts: list[Part] = []
        line, text = self.line, self.text
        while self.at < len(text):
            if match := _PLAIN.match(text, self.at):
                self.at = match.end()
                parts.append(Part(PartKind.LITERAL, match[0], is_quoted=False))
                continue
            char = text[self.at]
            if char == "\\":
                self._escape(parts)
            elif char == "'":
                end = text.find("'", self.at + 1)
                end = len(text) if end < 0 else end
                parts.append(Part(PartKind.LITERAL, text[self.at + 1 : end], is_quoted=True))
                self.line += text.count("\n", self.at, end)
                self.at = end + 1
            elif char == '"':
                self.at += 1
                self._double_quoted(parts)
            elif char in "$`":
                parts.append(self._expansion(is_quoted=False))
            else:
                break
        return Word(tuple(parts), line)

    def _escape(self, parts: list[Part]) -> None:
        after = self.text[self.at + 1 : self.at + 2]
        if after == "\n":
            self.line += 1
        elif after:
            parts.append(Part(PartKind.LITERAL, after, is_quoted=True))
        self.at += 2

    def _double_quoted(self, parts: list[Part]) -> None:
        text = self.text
        literal: list[str] = []
        start_count = len(parts)
        while self.at < len(text) and text[self.at] != '"':
            if match := _QUOTED.match(text, self.at):
                literal.append(match[0])
                self.at = match.end()
                continue
            char = text[self.at]
            if char == "\\" and text[self.at + 1 : self.at + 2] in {"$", "`", '"', "\\", "\n"}:
                if text[self.at + 1] == "\n":
                    self.line += 1
                else:
                    literal.append(text[self.at + 1])
                self.at += 2
            elif char in "$`":
                if literal:
                    parts.append(Part(PartKind.LITERAL, "".join(literal), is_quoted=True))
                    literal = []
                parts.append(self._expansion(is_quoted=True))
            else:
                if char == "\n":
                    self.line += 1
                literal.append(char)
                self.at += 1
        self.at += 1
        if literal or len(parts) == start_count:
            parts.append(Part(PartKind.LITERAL, "".join(literal), is_quoted=True))

    def _expansion(self, *, is_quoted: bool) -> Part:
        """Read `$NAME`, `${...}`, `$(...)`, `$((...))` or a backquoted command."""
        text = self.text
        if text[self.at] == "`":
            end = text.find("`", self.at + 1)
            return self._inside(self.at + 1, len(text) if end < 0 else end, 1, is_quoted)
        if text.startswith("$((", self.at):
            end = text.find("))", self.at)
            return self._inside(self.at + 3, len(text) if end < 0 else end, 2, is_quoted)
        if text.startswith("$(", self.at):
            return self._inside(self.at + 2, self._closing("(", ")"), 1, is_quoted)
        if text.startswith("${", self.at):
            end = self._closing("{", "}")
            inside = text[self.at + 2 : end]
            self.line += inside.count("\n")
            self.at = end + 1
            return Part(PartKind.VARIABLE, inside, is_quoted)
        if match := _NAME.match(text, self.at + 1):
            self.at = match.end()
            return Part(PartKind.VARIABLE, match[0], is_quoted)
        self.at += 1
        return Part(PartKind.LITERAL, "$", is_quoted)

    def _inside(self, start: int, end: int, closing: int, is_quoted: bool) -> Part:
        inside = self.text[start:end]
        self.line += inside.count("\n")
        self.at = end + closing
        return Part(PartKind.COMMAND, inside, is_quoted)

    def _closing(self, opening: str, closing: str) -> int:
        """Find the bracket that closes the one after the `$` here, minding quotes."""
        depth, at, text = 0, self.at + 1, self.text
        while at < len(text):
            char = text[at]
            if char == "\\":
                at += 1
            elif char == "'":
                end = text.find("'", at + 1)
                at = end if end > 0 else len(text)
            elif char == opening:
                depth += 1
            elif char == closing:
                depth -= 1
                if depth == 0:
                    return at
            at += 1
        return len(text)
