from pathlib import Path

import pytest

from shardwright.model.errors import ShardwrightError
from shardwright.rehearse import coverage
from shardwright.rehearse.coverage import Rehearsed
from shardwright.verify.agreement import TOLERANCE

PAGE = Path(__file__).parents[3] / "docs" / "coverage.md"


def made_up(**fields):
    known = {
        "engine": "vllm", "version": "0.32.0", "architecture": "X", "quantization": "none",
        "model": "org/x", "verdict": "refused", "layout": "TP=8 PP=2 as TP=2 PP=2",
        "max_logprob_difference": "", "why": "no kernel", "date": "2026-11-23",
    }  # fmt: skip
    return Rehearsed(**{**known, **fields})


def test_a_refused_architecture_is_refused_with_its_reason(monkeypatch):
    monkeypatch.setattr(coverage, "rows", lambda: (made_up(),))
    with pytest.raises(ShardwrightError) as caught:
        coverage.refuse("vllm", {"architectures": ["X"]})
    assert caught.value.code == "architecture-not-rehearsed"
    assert caught.value.cause == "no kernel"


@pytest.mark.parametrize(
    ("engine", "architecture"),
    [("vllm", "NeverTried"), ("sglang", "X"), ("vllm", "Y")],
)
def test_anything_else_is_let_through(engine, architecture, monkeypatch):
    table = (made_up(), made_up(architecture="Y"), made_up(architecture="Y", verdict="real"))
    monkeypatch.setattr(coverage, "rows", lambda: table)
    coverage.refuse(engine, {"architectures": [architecture]})


def test_the_page_is_the_table():
    table = coverage.rows()
    assert {row.verdict for row in table} <= {"real", "refused"}
    assert all(row.why for row in table if row.verdict == "refused")
    assert all(float(row.max_logprob_difference) <= TOLERANCE
               for row in table if row.verdict == "real")  # fmt: skip
    assert PAGE.read_text(encoding="utf-8") == coverage.page(table)
