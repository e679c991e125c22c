"""`bench` before any load: what is refused, and what a refusal leaves."""

import pytest
from click.testing import CliRunner

from shardwright.cli.bench_question import fraction, goodput_share
from shardwright.cli.bench_target import told_apart
from shardwright.cli.main import shardwright
from shardwright.model.errors import ShardwrightError

NOWHERE = "http://127.0.0.1:1"  # nothing listens on the first port


def run(*argv):
    words = ["bench", *(str(word) for word in argv)]
    return CliRunner().invoke(shardwright, words, standalone_mode=False)


@pytest.mark.parametrize("target", [NOWHERE, "missing.yaml"])
def test_a_refused_bench_leaves_no_folder(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    done = run(target, "--out", "a/b")
    assert isinstance(done.exception, ShardwrightError)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()  # what was there before stays
    run(target, "--out", "a/b")
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    done = run(NOWHERE, "--out", tmp_path / "file")
    assert done.exception.code == "file-not-writable"
    assert (tmp_path / "file").is_file()


@pytest.mark.parametrize(
    ("text", "code"),
    [("much", "not-a-share"), ("100%", "goodput-out-of-range"), ("95", "not-a-share"),
     ("0", "goodput-out-of-range"), ("90%", "goodput-of-nothing")],
)  # fmt: skip
def test_a_goodput_that_cannot_be_judged_is_refused(tmp_path, text, code):
    done = run(NOWHERE, "--goodput", text, "--out", tmp_path / "out")
    assert done.exception.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_is_not_there_is_refused_before_the_load(tmp_path):
    done = run(NOWHERE, "--tokenizer", tmp_path / "no", "--out", tmp_path / "out")
    assert done.exception.code == "tokenizer-not-found"


def test_targets_are_told_apart_as_people_write_them(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("")
    assert told_apart("http://h:1/v1/", None, None) == ("http://h:1", None)
    assert told_apart("https://h/llm", None, spec) == ("https://h/llm", spec)
    assert told_apart(str(spec), "http://h:1/v1", None) == ("http://h:1", spec)
    assert told_apart("llama-405b", None, None) == (None, None)
    for target in ("localhost:8000", "10.0.0.1:8000/v1"):
        with pytest.raises(ShardwrightError) as caught:
            told_apart(target, None, None)
        assert caught.value.code == "target-unknown"
        assert f"http://{target}" in caught.value.remedy


def test_shares_are_read_with_and_without_a_percent_sign():
    assert fraction("5%", "--max-regression") == fraction("0.05", "--max-regression") == 0.05
    assert goodput_share("99.5%") == pytest.approx(0.995)
