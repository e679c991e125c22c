"""The command line as a stranger meets it: exit codes, no traceback, stdout for results only."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from shardwright.cli.main import COMMANDS, main, shardwright

EXAMPLES = Path(__file__).parents[3] / "examples"
SPEC = str(EXAMPLES / "llama-3.1-405b.yaml")


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*argv):
        monkeypatch.setattr(sys, "argv", ["shardwright", *argv])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return call


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert "Usage: shardwright" in out
    assert shardwright.get_command(None, name).help


def test_help_imports_neither_pydantic_nor_numpy():
    code = (
        "import sys; sys.argv=['shardwright','--help']\n"
        "from shardwright.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'pydantic','numpy','yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["nonsense"], 2, "No such command"),
        (["plan"], 2, "Missing argument"),
        (["plan", "missing.yaml"], 2, "there is no such file"),
        (["plan", "-"], 2, "pass /dev/stdin"),
        (["sizing", "--model", "zzzz"], 2, "remedy: give the path of its config.json"),
        (["plan", str(EXAMPLES)], 2, "it is a directory"),
        (["plan", SPEC, "--output", "xml"], 2, "is not one of"),
    ],
)
def test_wrong_use_is_exit_2_and_one_plain_message(run, argv, code, words):
    left, out, err = run(*argv)
    assert (left, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


def test_unknown_gpu_and_model_name_their_line(run, tmp_path):
    for field, old, new in (
        ("gpu", "H200-SXM", "H2000"),
        ("model", "Llama-3.1-405B", "Lama-3-405B"),
    ):
        path = tmp_path / f"{field}.yaml"
        path.write_text(Path(SPEC).read_text().replace(old, new))
        code, _, err = run("plan", str(path))
        assert code == 2
        assert f"where:  {path}:" in err


def test_plan_in_json_says_layout_and_stages(run):
    code, out, _ = run("plan", SPEC, "-o", "json")
    plan = json.loads(out)["plan"]
    assert code == 0
    assert plan["layout"]["tensor_parallel"] == 8
    assert [s["num_layers"] for s in plan["stages"]] == [63, 63]


def test_diagrams_name_every_stage_and_both_links(run):
    for form in ("text", "mermaid", "svg"):
        _, out, _ = run("plan", SPEC, "--diagram", form)
        for words in ("layers 0-62", "layers 63-125", "infiniband-400g", "NVLink"):
            assert words in out, (form, words)


def test_the_svg_is_well_formed_and_has_sixteen_gpus(run):
    _, out, _ = run("plan", SPEC, "--diagram", "svg")
    boxes = ElementTree.fromstring(out).iter("{http://www.w3.org/2000/svg}rect")
    assert sum(box.get("class") == "g" for box in boxes) == 16


def test_init_writes_once_and_what_it_writes_plans(run, tmp_path):
    path = tmp_path / "spec.yaml"
    argv = ["init", str(path), "--model", "Qwen/Qwen3-32B", "--gpu", "L40S", "--gpus-per-node", "4"]
    code, _, err = run(*argv, "--nodes", "1")
    assert code == 0, err
    assert run("plan", str(path))[0] == 0
    code, _, err = run(*argv, "--nodes", "1")
    assert code == 2
    assert "exists already" in err


def test_schema_is_json_schema(run):
    _, out, _ = run("schema")
    assert json.loads(out)["properties"]["spec"]


@pytest.mark.parametrize("name", ["llama-3.1-70b", "llama-3.1-405b-bf16-h100", "qwen3-30b-a3b"])
def test_a_plan_as_json_follows_its_schema(run, name):
    _, schema, _ = run("schema", "plan")
    _, out, _ = run("plan", str(EXAMPLES / f"{name}.yaml"), "-o", "json")
    made = json.loads(out)
    check = Draft202012Validator(json.loads(schema))
    assert [error.message for error in check.iter_errors(made)] == []
    del made["plan"]["layout"]["tensor_parallel"]
    assert not check.is_valid(made)


def test_init_refuses_a_gpu_that_no_plan_could_be_made_for(run, tmp_path):
    path = tmp_path / "spec.yaml"
    code, _, err = run("init", str(path), "--model", "Qwen/Qwen3-32B", "--gpu", "H1000",
                       "--gpus-per-node", "8", "--nodes", "1")  # fmt: skip
    assert code == 2
    assert "H100-SXM" in err
    assert not path.exists()


def test_a_question_that_nobody_answers_is_no_interrupt(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, _, err = run("init", str(tmp_path / "spec.yaml"), "--gpu", "H100-SXM")
    assert code == 2
    assert "pass the answer as an option" in err


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EROFS, 3), (errno.ENOSPC, 3), (errno.EINVAL, 70)]
)
def test_what_the_machine_refuses_is_no_bug_of_ours(run, monkeypatch, number, code):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number), "/cache/shardwright")

    monkeypatch.setattr(shardwright, "main", refused)
    left, _, err = run("plan", SPEC)
    assert left == code
    assert ("Traceback" in err) == (code == 70)
    assert f"/cache/shardwright: {os.strerror(number)}" in err or code == 70
