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
    uses: list[tuple[str, str, list[str]]] = []
    positionals: list[str] = []
    values: list[str] = []
    takes: bool | None = False  # until the first flag, words are positional
    for word in words:
        if word[:1] != "-" or not _FLAG.match(word):
            if takes is False or (values and takes is not None and len(values) > 7):
                positionals.append(word)
            else:
                values.append(word)
            continue
        typed, equals, value = word.partition("=")
        if word[1] != "-" and (glued := _GLUED.fullmatch(word)):
            typed, equals, value = glued[1], "=", glued[3]
        name, values = _normal(typed), [value] if equals else []
        takes = False if equals else (known.takes_value(name) if known else None)
        uses.append((name, typed, values))
    flags = tuple(Flag(name, typed, tuple(values)) for name, typed, values in uses)
    return flags, tuple(positionals)


def _normal(typed: str) -> str:
    """Bring a flag to the spelling of the lists: dashes, no dotted part.

    >>> _normal("--pipeline_parallel_size"), _normal("--hf-overrides.rope_theta"), _normal("-tp")
    ('--pipeline-parallel-size', '--hf-overrides', '-tp')
    """
    base = typed.partition(".")[0] if "." in typed else typed
    return base.replace("_", "-") if "_" in base and base.startswith("--") else base
