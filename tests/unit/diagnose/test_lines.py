"""Colours come off the same way however they are learnt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardwright.diagnose.lines import Colours, strip_escapes

PIECES = st.sampled_from(
    [b"\x1b[36m", b"\x1b[0m", b"\x1b[3", b"6m", b"0m", b"\x1b", b"[", b"\x1b]0;t\x07", b"\x1b]0;t",
     b"\x1b\\", b"\x1bM", b"\x07", b"CUDA", b"\n", b"m"]
)  # fmt: skip


@given(st.lists(st.lists(PIECES, max_size=12).map(b"".join), max_size=6))
def test_learnt_sequences_are_taken_off_as_the_expression_would(chunks):
    colours = Colours()
    assert [colours.strip(chunk) for chunk in chunks] == [strip_escapes(c) for c in chunks]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [(b"\x1b[1;31mCU\x1b[0mDA", b"CUDA"), (b"\x1b[3\x1b[0m6mx", b"\x1b[36mx"), (b"no\n", b"no\n")],
)
def test_colours_come_off_and_cut_sequences_stay(raw, plain):
    colours = Colours()
    assert [colours.strip(raw) for _ in range(3)] == [plain] * 3
