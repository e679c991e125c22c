"""What variables hold while a script is read, and how words are filled in with them.

Values nobody can know before the pod runs (its own name, a command's output) become symbols: the
variable's name between two private-use characters, so that `name-0.$DOMAIN` keeps what is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shardwright.lint.shell.lexer import Lexer, Part, PartKind, Run, Word

UNKNOWN_START, UNKNOWN_END = "\ue000", "\ue001"
MAX_VALUE = 20_000
"""Characters of a value that are kept."""
_MAX_NESTED = 4

_PARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[0-9@*])(?:\[[@*]\])?(:?[-=+?])?(.*)", re.DOTALL)
_PIECE = re.compile(rf"(?:{UNKNOWN_START}[^{UNKNOWN_END}]*{UNKNOWN_END}|\S)+")


def unknown(name: str) -> str:
    """Write a value that only the running pod knows."""
    return f"{UNKNOWN_START}{name}{UNKNOWN_END}"


def _pieces(value: str) -> list[str]:
    """Split a value at blanks, but for those in the name of what is not known: that is one word."""
    return value.split() if is_known(value) else _PIECE.findall(value)


def is_known(word: str) -> bool:
    """True if nothing in the word waits for the running pod."""
    return UNKNOWN_START not in word


def shown(word: str) -> str:
    """Write a word for people: unknown parts as `$NAME`."""
    return word.replace(UNKNOWN_START, "$").replace(UNKNOWN_END, "")


Value = str | tuple[str, ...]


class Variables:
    """The shell's variables and positional arguments at one point of a script."""

    def __init__(self, variables: Mapping[str, str], arguments: tuple[str, ...]) -> None:
        self.values: dict[str, Value] = dict(variables)
        self.arguments = arguments

    def expand(self, token: Word, *, splits: bool = True) -> list[str]:
        """Fill in variables; an unquoted value splits at blanks as the shell would."""
        if len(token.parts) == 1 and token.parts[0].kind is PartKind.LITERAL:
            return [token.parts[0].text]
        words: list[str] = [""]
        for part in token.parts:
            if part.kind is PartKind.LITERAL:
                words[-1] += part.text
                continue
            value = self._value(part)
            if isinstance(value, tuple):
                words[-1] += value[0] if value else ""
                words.extend(value[1:])
            elif part.is_quoted or not splits:
                words[-1] += value
            else:
                pieces = _pieces(value)
                words[-1] += pieces[0] if pieces else ""
                words.extend(pieces[1:])
        is_empty = words == [""] and not any(part.is_quoted for part in token.parts)
        return [] if is_empty and splits else [word[:MAX_VALUE] for word in words]

    def _value(self, part: Part) -> Value:
        if part.kind is PartKind.COMMAND:
            return unknown(part.text.strip())
        match = _PARAMETER.fullmatch(part.text)
        if match is None:
            return unknown(part.text)
        name, operation, operand = match[1], match[2], match[3]
        if name in {"@", "*"}:
            return self.arguments[1:]
        if name.isdigit():
            index = int(name[:3])
            return self.arguments[index] if index < len(self.arguments) else unknown(name)
        value = self.values.get(name)
        is_without = value is None if operation in {"-", "="} else not value
        if operation in {":-", "-", ":=", "="} and is_without:
            return self._operand(operand)
        if operation in {":+", "+"}:
            return self._operand(operand) if value else ""
        if value is None or (operand and operation is None):
            return unknown(part.text if operation is None else name)
        return value

    def _operand(self, text: str) -> str:
        """Fill in the word after `:-` and its like."""
        if "$" not in text:
            return text.strip("\"'")
        if text.count("${") > _MAX_NESTED:
            return unknown(text)
        words: list[str] = []
        for token in Lexer(text[:MAX_VALUE]).tokens():
            if isinstance(token, Run):
                words.extend(token.texts)
            elif isinstance(token, Word):
                words.extend(self.expand(token))
        return " ".join(words)
