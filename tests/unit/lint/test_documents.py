import pytest

from shardwright.lint.documents import MAX_DEPTH, read_documents


def value(text):
    documents, broken = read_documents(text)
    assert broken is None
    return documents[0].value


def test_scalars_that_look_like_something_else_stay_strings():
    text = "{a: no, b: on, c: 0644, d: 0o17, e: 1_000, f: 12:30, g: 2024-01-01, h: .5, i: Yes}"
    assert set(map(type, value(text).values())) == {str}


def test_json_scalars_are_typed():
    assert value("[8, -1, 1.5, true, null, '8']") == [8, -1, 1.5, True, None, "8"]


def test_anchors_aliases_and_merge_keys():
    text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nagain: *b\n"
    assert value(text)["use"] == {"x": 1, "y": 3}
    assert value(text)["again"] == {"x": 1, "y": 2}


def test_several_documents_and_empty_ones():
    documents, broken = read_documents("---\na: 1\n---\n---\n- 2\n...\n")
    assert [d.value for d in documents] == [{"a": 1}, None, [2]]
    assert broken is None


def test_keys_written_twice_are_named():
    documents, _ = read_documents("a: 1\nb: 2\na: 3\n")
    assert [(key, mark.line) for key, mark in documents[0].duplicates] == [("a", 2)]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: 1\n b: 2\n", 2, "mapping values"),
        ("a: [1,\nb: }", 2, "expected"),
        ("a: *nowhere\n", 1, "no anchor"),
        ("a:\n  {{ .Values.x }}: 1\n", 2, "template"),
        ("k: {{- if .Values.x }}\n", 1, "template"),
        ("[" * 100_000, 1, f"deeper than {MAX_DEPTH}"),
        ("- &a [*a]", 1, "no anchor"),
        ("a: \udcff", None, "not valid Unicode"),
        ("a: \x00", None, "control characters"),
    ],
)
def test_broken_text_names_line_and_reason(text, line, part):
    _, broken = read_documents(text)
    assert broken is not None
    assert part in broken.problem
    assert broken.line == line


def test_documents_before_the_broken_one_are_kept():
    documents, broken = read_documents("a: 1\n---\nb: [\n")
    assert [d.value for d in documents] == [{"a": 1}]
    assert broken is not None


def test_aliases_cannot_multiply_without_end():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    _, broken = read_documents("\n".join(rows))
    assert broken is not None
    assert "enormous" in broken.problem


def test_deep_block_nesting_does_not_overflow():
    _, broken = read_documents("".join(f"{' ' * i}a:\n" for i in range(5000)))
    assert broken is not None
