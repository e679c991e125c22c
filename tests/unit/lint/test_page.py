from pathlib import Path

from shardwright.lint.page import all_pages
from shardwright.lint.table import RULES

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_fresh():
    assert (DOCS / "lint.md").read_text() == all_pages(RULES), "run scripts/docs-lint"


def test_every_rule_says_why_and_what_to_do_and_where_it_is_written():
    for rule in RULES:
        assert len(rule.why) > 40, rule.code
        assert rule.remedy, rule.code
        assert rule.references, rule.code
        assert rule.code == rule.code.lower().replace("_", "-").replace(" ", "-")
