"""The doctor's commands over files: what they print and how they end."""

import json
import os
import tarfile
import threading
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
from click import Abort
from click.testing import CliRunner

from shardwright.cli import bundle, doctor, explain
from shardwright.drive import evidence_files
from shardwright.model.errors import ShardwrightError

OOM = "torch.OutOfMemoryError: CUDA out of memory. HF_TOKEN=hf_aBcDeFgHiJkLmNoPqRsT\n"


def run(command, *arguments, **options):
    return CliRunner().invoke(command, list(arguments), standalone_mode=False, **options)


def test_file_folder_and_stdin_say_the_same(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "rank0.log").write_text(OOM)
    answers = [
        run(doctor.command, "--evidence", str(tmp_path / "logs" / "rank0.log"), "-o", "json"),
        run(doctor.command, "--evidence", str(tmp_path / "logs"), "-o", "json"),
        run(doctor.command, "--evidence", "-", "-o", "json", input=OOM),
    ]
    assert [json.loads(a.stdout)["findings"][0]["code"] for a in answers] == ["gpu-oom"] * 3
    assert [a.return_value for a in answers] == [0, 0, 0]


def test_unknown_is_inconclusive(tmp_path):
    answer = run(doctor.command, "--evidence", "-", input="all fine\n")
    assert answer.return_value == 4
    assert answer.stdout.startswith("No known cause found")


def test_ctrl_c_ends_the_wait_for_a_line_of_standard_input(monkeypatch):
    class Interrupted:
        def readable(self):
            return True

        def read(self, *_):
            assert threading.current_thread() is threading.main_thread()
            raise KeyboardInterrupt

        read1 = readinto = readline = read

    monkeypatch.setattr(
        evidence_files, "sys", SimpleNamespace(stdin=SimpleNamespace(buffer=Interrupted()))
    )
    with pytest.raises((KeyboardInterrupt, Abort)):
        doctor.command.main(["--evidence", "-"], standalone_mode=False)


@pytest.mark.parametrize("arguments", [[], ["--evidence", "/nonexistent"]])
def test_nothing_to_examine_is_a_usage_error(arguments):
    answer = run(doctor.command, *arguments)
    assert isinstance(answer.exception, ShardwrightError)
    assert answer.exception.exit_code == 2


def test_bundle_holds_findings_and_no_token(tmp_path):
    (tmp_path / "rank0.log").write_text(OOM)
    target = tmp_path / "out.tar.gz"
    answer = run(bundle.command, "--evidence", str(tmp_path / "rank0.log"), "--out", str(target))
    assert "1 redacted: Hugging Face token" in answer.stdout
    with tarfile.open(target) as archive:
        files = {m.name: archive.extractfile(m).read().decode() for m in archive}
    assert set(files) == {"rank0.log", "findings.json"}
    assert "hf_aBc" not in files["rank0.log"] + files["findings.json"]
    assert json.loads(files["findings.json"])["findings"][0]["code"] == "gpu-oom"


def test_bundle_is_reproducible(tmp_path):
    (tmp_path / "a.log").write_text(OOM)
    for name in ("1", "2"):
        run(bundle.command, "--evidence", str(tmp_path / "a.log"), "--out", str(tmp_path / name))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_explain_prints_the_page_and_refuses_unknown_codes():
    assert "## gpu-oom" in run(explain.command, "gpu-oom").stdout
    assert "shm-too-small" in run(explain.command).stdout
    assert "## heads-not-divisible" in run(explain.command, "tp-divisibility").stdout
    unknown = run(explain.command, "OOM").exception
    assert (unknown.code, "gpu-oom" in unknown.remedy) == ("unknown-cause", True)


def test_explain_is_markdown_in_a_pipe_and_plain_text_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    piped = run(explain.command, "shm-too-small").stdout
    assert piped.startswith("## shm-too-small\n\n**")
    assert "\n```\n" in piped
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, redirect_stdout(terminal):
        explain.command.main(["shm-too-small"], standalone_mode=False)
        read = os.read(ours, 65536).decode().replace("\r\n", "\n")
    os.close(ours)
    assert read.startswith("shm-too-small\n=============\n\n")
    assert "`" not in read
    assert "**" not in read
    prose = read.split("It shows as:")[0]
    assert max(map(len, prose.splitlines())) <= 60


SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {name: llm}
spec:
  model: {id: nobody/never-published}
  cluster:
    gpu: H100-SXM
    gpusPerNode: 8
    nodes: 2
    fabric: infiniband-400g
  parallelism: {tensor: 8, pipeline: 2}
  workload: {inputTokens: 2048, outputTokens: 256, concurrency: 32}
"""
SOCKET = "n0:8:9 [0] NCCL INFO Channel 00/0 : 8[0] -> 0[0] [receive] via NET/Socket/0\n"


def test_a_spec_is_used_even_where_its_model_cannot_be_looked_up(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise ShardwrightError(code="hub-unreachable", what="no network")

    monkeypatch.setattr("shardwright.cli.resolve.resolve", unreachable)
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    arguments = ["--evidence", "-", "--spec", str(spec), "-o", "json"]
    answer = run(doctor.command, *arguments, input=SOCKET)
    first = json.loads(answer.stdout)["findings"][0]
    assert (first["code"], first["confidence"] >= 0.7) == ("nccl-tcp-not-rdma", True)
    assert (first["evidence"][-1]["file"], first["evidence"][-1]["line"]) == (str(spec), 10)
    assert "hub-unreachable" in answer.stderr


def test_a_bundle_is_judged_by_the_plan(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise ShardwrightError(code="hub-unreachable", what="no network")

    monkeypatch.setattr("shardwright.cli.resolve.resolve", unreachable)
    spec, target = tmp_path / "spec.yaml", tmp_path / "out.tar.gz"
    spec.write_text(SPEC)
    arguments = ["--evidence", "-", "--spec", str(spec), "--out", str(target)]
    run(bundle.command, *arguments, input=SOCKET)
    with tarfile.open(target) as archive:
        first = json.load(archive.extractfile("findings.json"))["findings"][0]
    assert (first["code"], first["confidence"] >= 0.7) == ("nccl-tcp-not-rdma", True)


def test_a_broken_spec_is_the_users_error(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("spec: {cluster: {fabric: token-ring}}\n")
    answer = run(doctor.command, "--evidence", "-", "--spec", str(spec), input=SOCKET)
    assert isinstance(answer.exception, ShardwrightError)
    assert answer.exception.exit_code == 2


@pytest.fixture
def two_alike(tmp_path):
    for folder, text in (("a", OOM), ("b", "all fine\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vllm.log").write_text(text)
    return tmp_path / "a" / "vllm.log", tmp_path / "b" / "vllm.log"


def test_files_of_one_name_are_told_apart(two_alike, tmp_path):
    paths = [word for path in two_alike for word in ("--evidence", str(path))]
    found = json.loads(run(doctor.command, *paths, "-o", "json").stdout)["findings"]
    assert found[0]["evidence"][0]["file"] == str(two_alike[0])
    run(bundle.command, *paths, "--out", str(tmp_path / "out.tar.gz"))
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        assert len(archive.getnames()) == 3


def test_a_file_named_twice_is_read_once(two_alike):
    paths = ["--evidence", str(two_alike[0])] * 2
    found = json.loads(run(doctor.command, *paths, "-o", "json").stdout)["findings"]
    assert len(found[0]["evidence"]) == 1
    assert found[0]["evidence"][0]["file"] == "vllm.log"


def test_a_file_that_may_not_be_read_is_named_and_the_rest_is_read(two_alike, monkeypatch):
    opened = Path.open

    def refused(self, *arguments, **options):
        if self == two_alike[1]:
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refused)
    answer = run(doctor.command, "--evidence", str(two_alike[0].parents[1]))
    assert "[gpu-oom]" in answer.stdout
    assert "b/vllm.log: Permission denied" in answer.stdout


def test_a_bundle_that_cannot_be_written_is_no_bug(two_alike, tmp_path):
    argv = ["--evidence", str(two_alike[0]), "--out", str(tmp_path / "no" / "b.tar.gz")]
    assert run(bundle.command, *argv).exception.code == "file-not-writable"
