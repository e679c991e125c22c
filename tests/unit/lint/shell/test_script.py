import pytest

from shardwright.lint.shell.script import read_script
from shardwright.lint.shell.values import shown, unknown


def commands(script, variables=None, arguments=()):
    found = read_script(script, variables or {}, arguments)
    return [" ".join(shown(word) for word in command.argv) for command in found]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a; b && c || d | e &", ["a", "b", "c", "d", "e"]),
        ("a \\\n  --b 1 \\\n  --c  # why\n", ["a --b 1 --c"]),
        ("X=8\na --n=$X ${X} ${Y:-9} \"$X y\" '$X'", ["a --n=8 8 9 8 y $X"]),
        ("X=\nY=3\na ${X:-$Y} ${X-8} ${Z-$Y}", ["a 3 3"]),
        ("export P=1 Q=2; a $P$Q", ["a 12"]),
        ("A=(--x 1\n --y '2 3')\nA+=(--z)\nrun \"${A[@]}\"", ["run --x 1 --y 2 3 --z"]),
        ("X= run a", ["run a"]),
        ('set -- --p 1; run "$@"', ["run --p 1"]),
        ("a $(hostname -f):1", ["a $hostname -f:1"]),
        ("a ${HOSTNAME##*-}", ["a $HOSTNAME##*-"]),
        ("cat <<EOF > /f\nx $Y\nEOF\nb", ["cat", "b"]),
        ("for h in a b; do ping $h; done", ["ping $b"]),
        ("if [ $A = 1 ]; then b; else c; fi", ["[ $A = 1 ]", "b", "c"]),
        ("case $R in a) one ;; b|c) two;; esac; three", ["one", "two", "three"]),
        ("f() { inner; }; f", ["inner", "f"]),
        ("a > out 2>&1 < in", ["a"]),
        ("a 'never closed", ["a never closed"]),
        ('a "$(b', ["a $b"]),
        ("", []),
    ],
)
def test_commands(script, expected):
    assert commands(script) == expected


def test_unquoted_variables_split_and_quoted_do_not():
    (command,) = read_script('run $A "$A"', {"A": "--x 1"})
    assert command.argv == ("run", "--x", "1", "--x 1")


def test_what_is_not_known_stays_one_word_however_it_is_written():
    script = "run --node-rank $((INDEX + 1)) --host $(hostname -f):1 -x"
    (command,) = read_script(script, {})
    assert [shown(word) for word in command.argv] == [
        "run", "--node-rank", "$INDEX + 1", "--host", "$hostname -f:1", "-x",
    ]  # fmt: skip


def test_positional_arguments():
    assert commands('exec run "$@"', arguments=("bash", "--tp", "2")) == ["exec run --tp 2"]


def test_branches_are_conditional_and_conditions_are_not():
    script = "if ready; then a; fi\nuntil ray; do sleep 5; done\nb || c\nd && e"
    found = {c.argv[0]: c.is_conditional for c in read_script(script, {})}
    expected = {"ready": False, "a": True, "ray": False, "sleep": False, "b": False, "c": True}
    assert found == expected | {"d": False, "e": False}


def test_here_documents_belong_to_their_command():
    first, second = read_script("cat > /run.sh <<'EOF'\nvllm serve m\nEOF\nbash /run.sh", {})
    assert (first.stdin, first.written_to) == ("vllm serve m", "/run.sh")
    assert second.stdin is None


def test_what_a_branch_sets_is_not_known_after_it():
    script = "H=; A=1; if rank; then H=--headless; run $H; fi; run $H $A"
    found = [c.argv for c in read_script(script, {}) if c.argv[0] == "run"]
    assert found[0] == ("run", "--headless")
    assert shown(found[1][1]) == "$H"
    assert found[1][2] == "1"


@pytest.mark.parametrize("blank", ["\u00a0", "\x0c", "\x0b", "\u2003"])
def test_what_is_no_blank_to_a_shell_is_part_of_a_word(blank):
    """As bash has it: a no-break space, pasted from a web page, joins words; nothing hangs."""
    (command,) = read_script(f"vllm serve{blank}m -tp 8", {})
    assert command.argv == ("vllm", f"serve{blank}m", "-tp", "8")
    (command,) = read_script(f"{blank}echo 'a{blank}b' \"c{blank}d\"", {})
    assert command.argv == (f"{blank}echo", f"a{blank}b", f"c{blank}d")


def test_plain_words_in_a_row_keep_their_places():
    script = (
        "  for f in a b; do cp $f to one two; done\nif x y z; then A=1 b c d >out e f; fi # g h\n"
    )
    argv = [(each.argv, each.line, each.written_to) for each in read_script(script, {})]
    assert argv == [
        (("cp", unknown("b"), "to", "one", "two"), 0, None),
        (("x", "y", "z"), 1, None),
        (("b", "c", "d", "e", "f"), 1, "out"),
    ]
