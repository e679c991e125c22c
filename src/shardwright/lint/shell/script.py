"""Words and operators to the commands a script would run, in order, with variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from shardwright.lint.shell.lexer import (
    Lexer,
    Operator,
    Part,
    PartKind,
    Run,
    Token,
    Word,
    plain_word,
)
from shardwright.lint.shell.values import MAX_VALUE, Variables, unknown

_MAX_COMMANDS = 2_000

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_CONDITION, _BRANCH, _LOOP = "condition", "branch", "loop"
_FOR_HEAD, _CASE_HEAD, _PATTERN, _CASE_BODY = "for head", "case head", "pattern", "case body"
_HEADS = {
    "if": _CONDITION, "while": _CONDITION, "until": _CONDITION,
    "for": _FOR_HEAD, "select": _FOR_HEAD, "case": _CASE_HEAD,
}  # fmt: skip
_REDIRECTIONS = frozenset({"<", ">", ">>", ">&", "<&", "<>", ">|", "&>", "&>>", "<<<"})
_OPTIONAL = frozenset({_BRANCH, _CASE_BODY})
_CLOSERS = frozenset({"fi", "done", "esac"})
_MIDDLE = frozenset({"then", "do", "else", "elif", "!", "{", "}", "time"})


class Command(NamedTuple):
    """One program call. line: in the script, from 0.

    is_conditional: in a branch, so it may not run. is_background: followed by `&`.
    stdin: the here-document it reads, written_to: where its output goes.
    """

    argv: tuple[str, ...]
    line: int
    is_conditional: bool = False
    is_background: bool = False
    stdin: str | None = None
    written_to: str | None = None
    assignments: Mapping[str, str] = MappingProxyType({})


class _Reader:
    """Walks the tokens of one script."""

    def __init__(self, variables: Mapping[str, str], arguments: tuple[str, ...]) -> None:
        self.variables = Variables(variables, arguments)
        self.commands: list[Command] = []
        self.blocks: list[str] = []
        """What each open compound command is at: its condition, a branch, a loop's body."""
        self.changed: list[set[str]] = []
        """For each open compound command, the variables set in it."""
        self.is_optional = False
        self._reset()

    def _reset(self) -> None:
        self.words: list[str] = []
        self.assigned: dict[str, str] = {}
        self.start_line = 0
        self.stdin: str | None = None
        self.written_to: str | None = None
        self.redirect: str | None = None
        self.array: str | None = None
        self.array_words: list[str] = []
        self.is_in_array = False

    def read(self, tokens: list[Token]) -> None:
        for token in tokens:
            if len(self.commands) >= _MAX_COMMANDS:
                return
            if isinstance(token, Operator):
                self._operator(token)
            elif isinstance(token, Run):
                self._run(token)
            else:
                self._word(token)
        self._end()

    def _run(self, token: Run) -> None:
        """Take plain words: one by one until a command has begun, the rest as its arguments."""
        for index, text in enumerate(token.texts):
            if self.redirect is None and self.array is None:
                if self.words:
                    self.words.extend(token.texts[index:])
                    return
                if "=" not in text and not (self.blocks and self.blocks[-1] == _CASE_HEAD):
                    if not self._keyword(text):
                        self.start_line = token.line
                        self.words.append(text)
                    continue
            self._word(plain_word(text, token.line))

    def _operator(self, token: Operator) -> None:
        operator = token.text
        if operator == "<<":
            self._here_document(token)
        elif operator in _REDIRECTIONS:
            self.redirect = operator
        elif self.array is None or not self._in_array(operator):
            self._control(operator)

    def _in_array(self, operator: str) -> bool:
        """Take an operator after `NAME=`; True if it belongs to the array."""
        if operator == "(" or (operator == "\n" and self.is_in_array):
            self.is_in_array = True
            return True
        self._close_array()
        return operator == ")"

    def _control(self, operator: str) -> None:
        top = self.blocks[-1] if self.blocks else ""
        if operator == ")" and top == _PATTERN:
            self.blocks[-1] = _CASE_BODY
            self._reset()
        elif (top == _PATTERN and operator == "|") or (operator == "(" and self.words):
            self._reset()
        elif operator.startswith(";;") and top == _CASE_BODY:
            self._end()
            self.blocks[-1] = _PATTERN
        else:
            self._end(is_background=operator == "&")
            self.is_optional = operator == "||"

    def _here_document(self, token: Operator) -> None:
        """Give a here-document to its command, which the newline before the body has ended."""
        if self.words or not self.commands:
            self.stdin = token.body
            return
        self.commands[-1] = self.commands[-1]._replace(stdin=token.body)

    def _word(self, token: Word) -> None:
        if self.redirect is not None:
            self._redirected(token)
            return
        if self.array is not None and self.is_in_array:
            self.array_words.extend(self.variables.expand(token))
            return
        self.array = None
        literal = token.parts[0] if len(token.parts) == 1 else None
        is_bare = literal is not None and not literal.is_quoted
        if self.blocks and self.blocks[-1] == _CASE_HEAD:
            if literal is not None and is_bare and literal.text == "in":
                self.blocks[-1] = _PATTERN
            return
        if not self.words:
            if literal is not None and is_bare and self._keyword(literal.text):
                return
            if self._assignment(token):
                return
            self.start_line = token.line
        self.words.extend(self.variables.expand(token))

    def _redirected(self, token: Word) -> None:
        """Take the word after a redirection: where output goes, or what is read."""
        target = " ".join(self.variables.expand(token))
        if self.redirect is not None and ">" in self.redirect:
            self.written_to = target
        elif self.redirect == "<<<":
            self.stdin = target
        self.redirect = None

    def _keyword(self, word: str) -> bool:
        """Take a reserved word that may begin a command; True if it was one."""
        if word in _HEADS:
            self.blocks.append(_HEADS[word])
            self.changed.append(set())
            self.is_optional = False
            return True
        if word in _CLOSERS:
            if self.blocks:
                self._leave(self.blocks.pop())
            return True
        if word in {"then", "else", "elif"} and self.blocks:
            self.blocks[-1] = _BRANCH
        if word == "do" and self.blocks:
            self.blocks[-1] = _LOOP
        return word in _MIDDLE

    def _leave(self, block: str) -> None:
        """End a compound command: what its branches set may or may not hold from here on."""
        names = self.changed.pop()
        if block in _OPTIONAL or block == _PATTERN:
            self.variables.values.update({name: unknown(name) for name in names})
        if self.changed:
            self.changed[-1] |= names

    def _assignment(self, token: Word) -> bool:
        """Take `NAME=value`, `NAME+=value` and `NAME=(`; True if the word was one."""
        first = token.parts[0] if token.parts else None
        if first is None or first.kind is not PartKind.LITERAL or first.is_quoted:
            return False
        if "=" not in first.text:
            return False
        match = _ASSIGNMENT.match(first.text)
        if match is None:
            return False
        name = match[1]
        rest = first.text[match.end() :]
        if not rest and len(token.parts) == 1:
            self.array = name  # `NAME=(`, or an empty value: decided by the next token
        parts = (Part(PartKind.LITERAL, rest, is_quoted=True), *token.parts[1:])
        value = "".join(self.variables.expand(Word(parts, token.line), splits=False))
        before = self.variables.values.get(name, "") if match[2] else ""
        if match[2] and self.array == name:
            self.array_words = list(before) if isinstance(before, tuple) else [before]
        self._assign(name, (" ".join(before) if isinstance(before, tuple) else before) + value)
        return True

    def _assign(self, name: str, value: str) -> None:
        """Set a variable, and remember it where a branch sets it."""
        if self.changed:
            self.changed[-1].add(name)
        self.variables.values[name] = value[:MAX_VALUE]
        self.assigned[name] = value[:MAX_VALUE]

    def _close_array(self) -> None:
        if self.array is not None and self.array_words:
            self.variables.values[self.array] = tuple(self.array_words)
        self.array, self.array_words, self.is_in_array = None, [], False

    def _end(self, *, is_background: bool = False) -> None:
        self._close_array()
        words = self.words
        if words and words[0] in {"export", "declare", "local", "readonly", "typeset"}:
            for word in words[1:]:
                name, equals, value = word.partition("=")
                if equals:
                    self._assign(name, value)
        elif words[:2] == ["set", "--"]:
            named = next(iter(self.variables.arguments), "")
            self.variables.arguments = (named, *words[2:])
        elif words and self.blocks and self.blocks[-1] == _FOR_HEAD:
            self.variables.values[words[0]] = unknown(words[-1])
            self.blocks[-1] = _LOOP
        elif words:
            self.commands.append(
                Command(
                    argv=tuple(words),
                    line=self.start_line,
                    is_conditional=self.is_optional or not _OPTIONAL.isdisjoint(self.blocks),
                    is_background=is_background,
                    stdin=self.stdin,
                    written_to=self.written_to,
                    assignments=self.assigned,
                )
            )
        self._reset()


def read_script(
    script: str, variables: Mapping[str, str], arguments: tuple[str, ...] = ()
) -> tuple[Command, ...]:
    """List the commands of a script. arguments: `$0` and the positional ones after it.

    >>> [c.argv for c in read_script("A=8; vllm serve m -tp $A && exec echo", {})]
    [('vllm', 'serve', 'm', '-tp', '8'), ('exec', 'echo')]
    """
    reader = _Reader(variables, arguments)
    reader.read(list(Lexer(script).tokens()))
    return tuple(reader.commands)
