from shardwright.lint.edits import apply_fixes
from shardwright.lint.finding import Edit, Fix


def fix(line, column, end_line, end_column, text):
    edit = Edit(line=line, column=column, end_line=end_line, end_column=end_column, text=text)
    return Fix(summary=text, edits=(edit,))


def test_edits_are_applied_from_the_end_and_overlaps_are_left_out():
    text = "a: 1\nb: 2\n"
    first, second = fix(0, 3, 0, 4, "10"), fix(1, 3, 1, 4, "20")
    overlapping = fix(0, 0, 0, 4, "x")
    assert apply_fixes(text, [first, second, overlapping]) == ("a: 10\nb: 20\n", (first, second))


def test_an_insertion_after_a_last_line_without_newline():
    assert apply_fixes("a: 1", [fix(1, 0, 1, 0, "b: 2\n")])[0] == "a: 1\nb: 2\n"


def test_windows_line_ends_stay():
    assert (
        apply_fixes("a: 1\r\nb: 2\r\n", [fix(1, 0, 1, 0, "x: 0\n")])[0]
        == "a: 1\r\nx: 0\r\nb: 2\r\n"
    )
