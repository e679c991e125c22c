"""Every message a user can meet has a code that can be looked up and something to do."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path

import click
import pytest

from shardwright.cli.main import shardwright

ROOT = Path(__file__).parents[2]


def script(name):
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def test_every_code_is_kebab_case_and_every_error_has_a_remedy_or_details():
    module = script("docs-errors")
    rows = [r for p in (ROOT / "src").rglob("*.py") for r in module.codes_in(p)]
    assert len(rows) > 50
    assert [c for c, *_ in rows if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", c)] == []
    errors = {
        (code, place) for code, kind, _, remedy, place in rows if kind == "error" and not remedy
    }
    # a row of a table gets its message as a note beside it; the table goes on
    assert sorted(errors - {("row-field", "planner/memory_rows.py")}) == []


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "testbed" / "README.md"])


def commands(text):
    """Yield the words of every command line that a page shows, in a block or within a sentence."""
    blocks = re.findall(r"```.*?```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in lines:
        for part in re.split(r"[|;]|&&", line.partition("  #")[0]):
            if found := re.match(r"[\s$]*(?:sudo |uvx )?shardwright ((?:[a-z]+)\b.*)", part):
                yield found[1].split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_shows_exist_with_their_options(page):
    wrong = []
    for words in commands(page.read_text(encoding="utf-8")):
        command, rest = shardwright.get_command(None, words[0]), words[1:]
        while isinstance(command, click.Group) and rest:
            command, rest = command.get_command(None, rest[0]), rest[1:]
        if command is None:
            wrong.append(" ".join(words))
            continue
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        given = {word.partition("=")[0].strip(".,)]") for word in words if word.startswith("-")}
        wrong += [f"{' '.join(words)}: {o}" for o in given - known - {"-", "--"}]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []
