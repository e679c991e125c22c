"""Shapes of deployments that are known to work, as public projects write them: no errors.

Each file has the structure of a published example of another project, in words of our own.
"""

from pathlib import Path

import pytest

WORKS = Path(__file__).parents[2] / "golden" / "lint" / "works"


@pytest.mark.parametrize("path", sorted(WORKS.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_errors(linted, path):
    found = linted(path.read_text())
    assert found.errors == set()
    assert "gpus-do-not-match-ranks" not in found.codes
