"""What `rehearse` refuses before it starts anything."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from shardwright.cli.main import shardwright

SPEC = str(Path(__file__).parents[3] / "examples" / "llama-3.1-405b.yaml")


def refused(*options):
    done = CliRunner().invoke(shardwright, ["rehearse", SPEC, *options])
    return done.exception.code, done.exception.what


@pytest.mark.parametrize("ranks", ["0x2", "2x0", "00x2", "2", "2x2x2", "-2x2", "axb"])
def test_ranks_are_two_numbers_from_one(ranks):
    assert refused("--cluster", "--ranks", ranks)[0] == "ranks-not-read"


@pytest.mark.parametrize(
    "options",
    [
        ("--cluster", "--image", "i", "--bench"),
        ("--cluster", "--image", "i", "--nodes", "namespaces"),
        ("--cluster", "--image", "i", "--timeout", "60"),
        ("--cluster", "--image", "i", "--no-compare"),
        ("--image", "i"),
        ("--context", "spare"),
        ("--take-over",),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options):
    code, what = refused(*options)
    assert code == "option-without-effect"
    assert what.split(" is ")[0] in options


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_begun(tmp_path):
    (tmp_path / "taken").write_text("")
    code, what = refused("--out", str(tmp_path / "taken" / "below"))
    assert code == "file-not-writable"
    assert str(tmp_path / "taken" / "below") in what
