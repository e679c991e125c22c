"""Words after a program's name to flags and positionals, as argparse and click read them."""

from __future__ import annotations

import re

from shardwright.facts.flags import catalog
from shardwright.lint.command.dialects import Dialect
from shardwright.lint.command.invocation import Flag

_FLAG = re.compile(r"--?[A-Za-z]")
_GLUED = re.compile(r"(-O|-tp|-pp|-dp|-n|-r)(=?)(\d.*)")


def read_arguments(
    words: tuple[str, ...], dialect: Dialect
) -> tuple[tuple[Flag, ...], tuple[str, ...]]:
    """Split words into flags and positionals.

    A word after a switch is positional; whether a flag is a switch is known from the engine's list.
    """
    known = catalog(dialect.engine.value)
    flags: list[Flag] = []
    positionals: list[str] = []
    name, typed, values = "", "", list[str]()
    takes: bool | None = None

    def close() -> None:
        if name:
            flags.append(Flag(name=name, typed=typed, values=tuple(values)))

    for word in words:
        if not _FLAG.match(word):
            if not name or takes is False or (values and takes is not None and len(values) > 7):
                positionals.append(word)
            else:
                values.append(word)
            continue
        close()
        typed, equals, value = word.partition("=")
        if glued := _GLUED.fullmatch(word):
            typed, equals, value = glued[1], "=", glued[3]
        name, values = _normal(typed), [value] if equals else []
        takes = False if equals else (known.takes_value(name) if known else None)
    close()
    return tuple(flags), tuple(positionals)


def _normal(typed: str) -> str:
    """Bring a flag to the spelling of the lists: dashes, no dotted part.

    >>> _normal("--pipeline_parallel_size"), _normal("--hf-overrides.rope_theta"), _normal("-tp")
    ('--pipeline-parallel-size', '--hf-overrides', '-tp')
    """
    base = typed.partition(".")[0]
    return base.replace("_", "-") if base.startswith("--") else base
