"""What a script reads: every command's JSON is an object that says its kind and version."""

import json
import re
from contextlib import nullcontext
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.unit.bench.known_server import BY_SLO, TARGET, KnownServer, scenario

from shardwright.bench.report import Bench
from shardwright.bench.run import measure
from shardwright.cli.bench_output import print_bench, write_reports
from shardwright.cli.main import shardwright
from shardwright.cli.rehearse_report import publish
from shardwright.deploy.inventory import Inventory, to_object
from shardwright.drive import environment, kube
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.answers import KINDS
from shardwright.planner.coefficients import using
from shardwright.rehearse.report import Leftovers, Report

ROOT = Path(__file__).parents[3]
SPEC = ROOT / "examples" / "llama-3.1-405b.yaml"
AIPERF = ROOT / "tests" / "data" / "bench" / "aiperf-0.13.0-slow"
POINTS = "id,model,gpu,engine,isl,osl,concurrency,ttft_ms,tpot_ms\n"
POINTS += "a,Qwen/Qwen3-8B,H100,vllm,512,64,4,30,7\n"
OOM = "torch.OutOfMemoryError: CUDA out of memory.\n"

TYPED = {
    "accuracy": "accuracy points.csv",
    "artifacts": f"artifacts {SPEC}",
    "bundle": "bundle --evidence rank0.log --out bundle.tar.gz",
    "calibration": "calibrate points.csv --dry-run",
    "deletion": "delete llama -n default",
    "deployment": f"deploy {SPEC}",
    "diagnosis": "doctor --evidence rank0.log",
    "diff": f"diff {SPEC}",
    "endpoint": "status llama -n default",
    "endpoints": "list",
    "engine-check": "engines verify",
    "engines": "engines list",
    "latency": "predict latency points.csv",
    "lint": "lint pod.yaml",
    "memory": "predict memory points.csv",
    "plan": f"plan {SPEC}",
    "preflight": f"preflight {SPEC}",
    "sizing": "sizing --model Qwen/Qwen3-8B --gpu H100 --weights bf16",
    "verdict": f"verdict {AIPERF} --ttft-ms 125",
    "why": f"plan {SPEC} --why tp=4",
}
"""What is typed for each kind; those that take an engine are given their findings below."""


def bench():
    run = measure(KnownServer(), scenario(1), TARGET, "a", BY_SLO)
    return Bench(name="m", runs=(run,), outcome=run.verdict.outcome)


def rehearsal():
    return Report(
        name="m", model="m", engine="vllm", engine_version="1", rehearsed_version="1",
        mechanism="statefulset", deployed="TP=1", rehearsed="TP=1", nodes="none", ready_s=1.0,
        took_s=1.0, phases=(), checks=(), ranks=(), agreement=None, compared_with=None, usage=(),
        drill=None, changes=(), findings=(), proved=(), not_proved=(), leftovers=Leftovers(),
    )  # fmt: skip


@pytest.fixture
def printed(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(environment, "verify", lambda lock: ())
    cluster = MemoryCluster(to_object(Inventory(name="llama", namespace="default")))
    monkeypatch.setattr(kube, "connect", lambda *_: nullcontext(cluster))
    (tmp_path / "rank0.log").write_text(OOM)
    (tmp_path / "points.csv").write_text(POINTS)
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n")

    def call(kind):
        if kind == "bench":
            print_bench(bench(), "json")
        elif kind == "rehearsal":
            publish(rehearsal(), "", tmp_path, "json")
        else:
            with using(()):
                done = CliRunner().invoke(
                    shardwright, [*TYPED[kind].split(), "-o", "json"], standalone_mode=False
                )
            assert done.exception is None, done.exception
            return json.loads(done.stdout)
        return json.loads(capsys.readouterr().out)

    return call


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_document_says_its_kind_and_version(printed, kind):
    document = printed(kind)
    assert document["apiVersion"] == f"shardwright.dev/{kind}/v1alpha1"
    assert len(document) > 1


def test_what_a_bench_and_a_rehearsal_leave_in_files_is_what_they_print(printed, tmp_path):
    told = printed("rehearsal")
    assert json.loads((tmp_path / "report.json").read_text()) == told
    write_reports(bench(), tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == printed("bench")


def with_json(command, words=()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from with_json(command.get_command(context, name), (*words, name))
    elif any("json" in getattr(p.type, "choices", ()) for p in command.params):
        yield " ".join(words)


def test_every_command_with_json_has_a_kind():
    # a List of Kubernetes objects has the apiVersion of Kubernetes
    assert {*with_json(shardwright)} == {*KINDS.values()} - {"plan --why"} | {"render"}


def test_the_table_of_the_docs_names_every_kind():
    page = (ROOT / "docs" / "json.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| `([a-z -]+)`", page, re.MULTILINE)
    assert dict(rows) == KINDS
