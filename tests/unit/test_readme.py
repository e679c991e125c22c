"""What the README shows is what the commands print today. Where it leaves lines out it writes …"""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from shardwright.cli.main import shardwright

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def printed_by(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "120")
    return CliRunner().invoke(shardwright, shlex.split(command), standalone_mode=False).stdout


@pytest.mark.parametrize(
    "command",
    [
        "plan examples/llama-3.1-405b-bf16-h100.yaml",
        "lint examples/recipe",
        (
            "verdict tests/data/bench/aiperf-0.13.0-slow --ttft-ms 150 --itl-ms 20 "
            "--percentile 90 --goodput 90%"
        ),
        "doctor --evidence tests/data/provoked/oom-one-rank/evidence.txt",
    ],
)
def test_a_command_of_the_readme_prints_what_is_shown(command, monkeypatch):
    after = README.split(f"$ shardwright {command}", 1)[1]
    shown = after.split("\n", 1)[1].split("```")[0]
    printed = printed_by(command, monkeypatch)
    parts = [part for text in shown.split("…\n") for part in text.split("\n\n")]
    assert len(shown.splitlines()) > 5
    for part in parts:
        assert part.strip("\n") in printed


def test_render_writes_the_files_that_are_shown(monkeypatch, tmp_path):
    shown = README.split("$ ls manifests\n", 1)[1].split("$ shardwright", 1)[0].split()
    printed_by(f"render examples/llama-3.1-405b.yaml --out {tmp_path}", monkeypatch)
    assert sorted(path.name for path in tmp_path.iterdir()) == shown
    assert f"wrote {len(shown)} file(s) to manifests" in README


def test_every_command_and_option_of_the_readme_exists(monkeypatch):
    found = re.findall(r"^(?:\$ )?shardwright ([a-z]+)(.*)$", README, re.MULTILINE)
    assert len(found) > 8
    for name, rest in found:
        told = printed_by(f"{name} --help", monkeypatch)
        for option in re.findall(r"\s(--?[a-z][a-z-]*)", rest.split("#")[0].split("|")[0]):
            assert option in told, f"{name} {option}"
