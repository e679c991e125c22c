"""The emitter against PyYAML, an independent reader: what goes in comes out, whatever it is."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shardwright.render.emit import Because, emit, plain

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner),
)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), TREES))
def test_every_reader_gets_the_same_values_back(tree):
    assert yaml.safe_load(emit([tree])) == tree
    assert yaml.load(emit([tree]), Loader=yaml.CSafeLoader) == tree


@pytest.mark.parametrize(
    "word",
    ["no", "on", "Y", "null", "~", "1", "1.5", "1e3", "0x1f", "0o17", "017", "1:20", "2026-11-23",
     ".inf", "-.inf", ".nan", "", " a", "a ", "a: b", "a #b", "- a", "-", "---", "...", "<<", "=",
     "a:", "&a", "*a", "!a", "%a", "@a", "`a", "[a", "{a", "a\n", "\n", "a\n\nb", "\ta", "é",
     "1_0"],
)  # fmt: skip
def test_text_stays_text(word):
    assert yaml.safe_load(emit([{"a": word, "b": [word]}])) == {"a": word, "b": [word]}


@pytest.mark.parametrize("word", ["500Gi", "--tp=8", "$(LWS_LEADER_ADDRESS)", "rdma/ib", "a:1.0"])
def test_common_words_are_not_quoted(word):
    assert emit([{"a": word}]) == f"a: {word}\n"


def test_keys_come_in_one_order_whatever_order_they_were_built_in():
    ordered = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "it", "labels": {"b": "1"}}}
    shuffled = dict(reversed(ordered.items()))
    assert emit([ordered]) == emit([shuffled])
    assert emit([ordered]).startswith("apiVersion: v1\nkind: K\nmetadata:\n  name: it\n")


def test_reasons_are_comments_on_request_and_nothing_else_changes():
    tree = {
        "a": Because([Because({"x": 1}, "first\nline"), 2], "a list"),
        "b": Because("", "empty"),
    }
    silent, told = emit([tree]), emit([tree], explain=True)
    assert yaml.safe_load(silent) == yaml.safe_load(told) == plain(tree)
    assert [line.strip() for line in told.splitlines() if "#" in line] == [
        "# a list", "# first line", "# empty",
    ]  # fmt: skip
    assert "#" not in silent
