"""Every message a user can meet has a code that can be looked up and something to do."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path

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
