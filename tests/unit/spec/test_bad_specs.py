"""Every broken spec gives exactly the error text beside it; a new case is a new file."""

from pathlib import Path

import pytest

from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.spec.load import load

CASES = sorted((Path(__file__).parents[2] / "golden" / "bad_specs").glob("*.yaml"))


def test_there_are_enough_cases():
    assert len(CASES) >= 60


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_bad_spec(path, update_golden):
    with pytest.raises(ShardwrightError) as caught:
        load(path.read_text(), "spec.yaml")
    assert caught.value.exit_code is ExitCode.USAGE
    expected = path.with_suffix(".txt")
    if update_golden:
        expected.write_text(caught.value.render() + "\n")
    assert caught.value.render() + "\n" == expected.read_text()
