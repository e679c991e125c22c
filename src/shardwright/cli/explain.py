"""`shardwright explain CODE`: the page of one of the doctor's causes, as Markdown, or as plain text
on a terminal.
"""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import terminal_width
from shardwright.diagnose.causes import load_causes
from shardwright.diagnose.pages import page
from shardwright.model.errors import usage_error
from shardwright.model.folding import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardwright.diagnose.causes import Cause


@click.command(name="explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Print the page of a cause; of a family all its pages; without CODE, list them all."""
    causes = {cause.code: cause for cause in load_causes()}
    width = terminal_width()
    if code is None:
        click.echo("\n".join(_listed(causes.values(), width)))
        return
    wanted = code.lower()
    pages = [causes[wanted]] if wanted in causes else []
    pages = pages or [each for each in causes.values() if each.family == wanted]
    if not pages:
        raise usage_error(
            "unknown-cause", f"there is no cause {code!r}", remedy=_nearest(wanted, causes.values())
        )
    texts = [page(each) for each in pages]
    if sys.stdout.isatty():
        texts = ["\n".join(_read(each, width)) for each in texts]
    click.echo("\n\n".join(texts))


def _listed(causes: Iterable[Cause], width: int | None) -> list[str]:
    causes = list(causes)
    column = max(len(each.code) for each in causes)
    return [
        line for each in causes for line in fold(f"{each.code:{column}}  {each.title}", width)
    ]  # fmt: skip


def _read(text: str, width: int | None) -> list[str]:
    """Write Markdown for a reader: headings and prose without their signs, code as it is, set in.

    >>> _read("## oom\\n\\n**No memory** (family `gpu`)\\n```\\nKilled * 2\\n```", 80)
    ['oom', '===', '', 'No memory (family gpu)', '    Killed * 2']
    """
    lines: list[str] = []
    is_example = False
    for line in text.splitlines():
        if line.startswith("```"):
            is_example = not is_example
        elif is_example:
            lines.append(f"    {line}".rstrip())
        elif line.startswith("## "):
            lines += [line[3:], "=" * len(line[3:])]
        else:
            lines += fold(re.sub(r"\*\*(.+?)\*\*|`([^`]+)`", r"\1\2", line), width)
    return lines


def _nearest(wanted: str, causes: Iterable[Cause]) -> str:
    """Name the causes whose code, family or title is near to what was asked."""
    causes = list(causes)
    codes = [each.code for each in causes]
    near = [each.code for each in causes if wanted in each.code or wanted in each.family]
    near = near or get_close_matches(wanted, codes, n=3, cutoff=0.5)
    named = f"did you mean {', '.join(near[:6])}? " if near else ""
    return f"{named}`shardwright explain` lists them all"
