"""No manifest, however mangled, ends in a traceback, and no writer chokes on what is found."""

import copy
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shardwright.lint.edits import apply_fixes
from shardwright.lint.objects import SourceFile, load
from shardwright.lint.report import WRITERS
from shardwright.lint.run import lint
from shardwright.lint.shell.script import read_script
from shardwright.lint.table import RULES

GOLDEN = Path(__file__).parents[2] / "golden" / "lint" / "good"
TEXTS = [path.read_text() for path in sorted(GOLDEN.glob("*.yaml"))]
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "8Gi", "$(X)", "-1", "9" * 5000, "\x1b[2J", "a: b", "--nnodes", "٣", "²"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["name", "value", "items", "spec"]), st.integers(), max_size=2),
)


def check(text):
    sources = (SourceFile(name="f.yaml", text=text),)
    loaded = load(sources)
    findings = lint(loaded)
    for write in WRITERS.values():
        assert "\x1b" not in write(findings, RULES)
    fixed, applied = apply_fixes(text, [f.fix for f in findings if f.fix])
    if applied and not loaded.broken:
        again = load((SourceFile(name="f.yaml", text=fixed),))
        assert not again.broken
        assert len(again.objects) == len(loaded.objects)


def places(value, path=()):
    """List the paths of everything in a value."""
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


@QUICK
@given(st.data())
def test_values_of_the_wrong_kind_anywhere(data):
    documents = copy.deepcopy(list(yaml.safe_load_all(data.draw(st.sampled_from(TEXTS)))))
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from([p for p in places(documents) if p]))
        parent = documents
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = data.draw(ODD)
    text = yaml.safe_dump_all(documents, allow_unicode=True)
    check(text)


@QUICK
@given(st.data())
def test_text_cut_and_mixed(data):
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        width = data.draw(st.integers(0, 40))
        text = text[:at] + data.draw(st.text(max_size=10)) + text[at + width :]
    check(text)


@QUICK
@given(st.text())
def test_any_text(text):
    check(text)


@QUICK
@given(st.text(alphabet="ab ='\"$(){}[];&|<>\\\n`#-*@!:/0if then else fi case esac in do done"))
def test_any_script(script):
    for command in read_script(script, {"a": "b", "b": "$a"}):
        assert command.argv
