"""A load as a Job: its objects, its command line, its files through a log."""

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.bench.llama_endpoint import AIPERF, SCENARIO, TARGET, VLLM, endpoint

from shardwright.bench.aiperf import Target
from shardwright.bench.job import job_objects
from shardwright.bench.pods import send_load
from shardwright.bench.pods.send_load import END, PROGRESS, LogCut, packed, unpacked
from shardwright.bench.vllm_bench import vllm_bench_argv
from shardwright.model.errors import ShardwrightError

DATA = Path(__file__).parents[2] / "data" / "bench"


def test_the_job_is_plain_and_holds_no_key():
    target = Target(
        url="http://llama.ml.svc:8000", model="m", tokenizer="/models/x", has_api_key=True
    )
    config, job = job_objects("llama-bench-run", AIPERF, endpoint(), SCENARIO, target, None)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["spec"]["backoffLimit"] == 0
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "corp.example/aiperf:1"
    key = next(e for e in container["env"] if e["name"] == "SHARDWRIGHT_API_KEY")
    assert key["valueFrom"]["secretKeyRef"] == {"name": "k", "key": "a"}
    asked = json.loads(config["data"]["load.json"])
    sent = json.loads(asked["files"]["aiperf.json"])["benchmark"]
    assert sent["endpoint"]["urls"] == ["http://llama.ml.svc:8000"]
    assert sent["datasets"][0]["prompts"]["isl"] == {"mean": 60, "stddev": 20.0}


def test_vllm_bench_gets_the_same_load():
    argv = vllm_bench_argv(SCENARIO, Target(url="http://h:1", model="m", tokenizer="/t"), "/out")
    pairs = dict(pairwise(argv))
    assert pairs["--random-input-len"] == "60"
    assert pairs["--random-prefix-len"] == "40"
    assert pairs["--max-concurrency"] == "4"
    # a uniform range of deviation 20 around 100 is 20 x sqrt(3) = 34.6 wide on each side
    assert float(pairs["--random-range-ratio"]) == pytest.approx(0.346, abs=1e-3)


def test_a_trace_for_vllm_bench_is_of_tokens_and_has_every_prompt_in_blocks():
    replay = replace(SCENARIO, concurrency=None, trace="/t/trace.jsonl")
    argv = vllm_bench_argv(replay, Target(url="http://h:1", model="m", tokenizer="/t"), "/out")
    pairs = dict(pairwise(argv))
    # it refuses token ids for chats, and takes 16 tokens a block where Mooncake's have 512
    assert (pairs["--backend"], pairs["--endpoint"]) == ("openai", "/v1/completions")
    assert pairs["--timed-trace-chunk-hash-size"] == "512"
    lines = ['{"timestamp": 0, "input_length": 1024, "output_length": 8}',
             '{"timestamp": 5, "input_length": 10, "output_length": 8, "hash_ids": [7]}',
             '{"timestamp": 9, "input_length": 1, "output_length": 8}']  # fmt: skip
    config, _ = job_objects("n", VLLM, endpoint(), replay, TARGET, "\n".join(lines))
    sent = json.loads(config["data"]["load.json"])["files"]["trace.jsonl"].splitlines()
    blocks = [json.loads(line)["hash_ids"] for line in sent]
    assert [len(each) for each in blocks] == [2, 1, 1]
    assert blocks[1] == [7]
    assert len({number for each in blocks for number in each}) == 4
    with pytest.raises(ShardwrightError) as caught:
        job_objects("n", VLLM, endpoint(), replay, TARGET, '{"timestamp": 0, "text_input": "a"}')
    assert caught.value.code == "trace-without-lengths"


def test_files_come_back_through_a_log_whole_or_not_at_all():
    data = (DATA / "vllm-bench-0.32.0.json").read_bytes()
    lines = packed("a.json", data) + packed("b.json", data)
    log = "\n".join(["Starting", *lines, "noise", f"{END} 0 {len(lines)}"])
    files, status = unpacked(log)
    assert files["a.json"].encode() == data
    assert status == 0
    assert unpacked("\n".join(lines)) == ({}, None)
    for kept in (lines[1:], []):  # a kubelet has thrown the beginning away
        with pytest.raises(LogCut):
            unpacked("\n".join([*kept, f"{END} 0 {len(lines)}"]))


def test_an_image_without_the_tool_is_said(tmp_path, monkeypatch, capsys):
    asked = tmp_path / "load.json"
    asked.write_text(json.dumps({"argv": ["no-such-tool"], "env": {}, "files": {}, "results": []}))
    monkeypatch.setattr(send_load, "WORK", tmp_path / "work")
    monkeypatch.setattr("sys.argv", ["send_load.py", str(asked)])
    assert send_load.main() == 0  # not to be tried again
    out = capsys.readouterr().out
    assert "no-such-tool is not in this image" in out
    assert unpacked(out) == ({}, 127)


WARMED = (
    "16:04:51.662 NOTICE   Phase warmup (warmup) started | phase_index=0 | target: 8 requests\n"
)
MEASURING = (
    "16:04:52.447 NOTICE   Phase warmup (warmup) complete | completed=8, cancelled=0, errors=0\n"
    "16:04:52.451 NOTICE   Phase profiling (profiling) started | target: 80 requests\n"
)


def test_how_far_aiperf_is_comes_from_what_it_has_written_so_far(tmp_path):
    lines = (DATA / "aiperf-0.13.0-long" / "profile_export.jsonl").read_text().splitlines()
    phase = lambda line: json.loads(line)["metadata"]["benchmark_phase"]  # noqa: E731
    records = "\n".join(sorted(lines, key=phase, reverse=True)) + "\n"  # the warm-up goes first
    log, out = tmp_path / "tool.out", tmp_path / "out" / "profile_export.jsonl"
    out.parent.mkdir()
    watch = send_load.Watch(tmp_path, log)
    assert watch.look() == "preparing 0 -"
    log.write_text("16:03:22.371 INFO     Starting AIPerf System\n" + WARMED)
    out.touch()
    assert watch.look() == "warmup 0 0"
    out.write_text(records[: records.index("\n") + 40])  # a line, and the next half written
    assert watch.look() == "warmup 1 0"
    log.write_text(log.read_text() + MEASURING)
    assert watch.look() == "profiling 0 0"
    out.write_text(records)
    failed = [json.loads(line).get("error") for line in lines if phase(line) == "profiling"]
    assert len(failed) == 12
    assert sum(map(bool, failed)) == 2
    assert watch.look() == "profiling 12 2"


def test_how_far_vllm_bench_is_comes_from_its_bar(tmp_path):
    log = tmp_path / "tool.out"
    watch = send_load.Watch(tmp_path, log)
    said = "Starting initial single prompt test run...\nWarming up with 4 requests...\n"
    log.write_bytes(said.encode() + b"\r  0%|          | 0/4 [00:00<?, ?it/s]\r")
    assert watch.look() == "warmup 0 -"
    said = "\r100%|##########| 4/4 [00:01<00:00]\nStarting main benchmark run...\n"
    bar = "\r  0%|          | 0/80 [00:00<?, ?it/s]\r 39%|###9      | 31/80 [00:05<00:08, 6.0it/s]"
    with log.open("a", newline="") as file:
        file.write(said + bar)
    assert watch.look() == "profiling 0 -"  # the last line may not be whole
    with log.open("a", newline="") as file:
        file.write("\r")
    assert watch.look() == "profiling 31 -"


def test_a_pod_tells_how_far_its_load_is(tmp_path, monkeypatch, capsys):
    """A tool that waits until its progress was told."""
    work = tmp_path / "work"
    tool = (
        "import pathlib, time\n"
        "here = pathlib.Path('profile_export.jsonl')\n"
        'here.write_text(\'{"metadata":{"benchmark_phase":"profiling"}}\\n\' * 3)\n'
        "while not pathlib.Path('told').exists(): time.sleep(0.01)\n"
    )
    asked = tmp_path / "load.json"
    argv = [sys.executable, "-c", tool]
    asked.write_text(json.dumps({"argv": argv, "env": {}, "files": {}, "results": []}))
    monkeypatch.setattr(send_load, "WORK", work)
    monkeypatch.setattr(send_load, "LOOK_S", 0.02)
    monkeypatch.setattr("sys.argv", ["send_load.py", str(asked)])
    look = send_load.Watch.look

    def looked(watch):
        found = look(watch)
        if found == "profiling 3 0":
            (work / "told").touch()
        return found

    monkeypatch.setattr(send_load.Watch, "look", looked)
    assert send_load.main() == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{PROGRESS} profiling 3 0", f"{END} 0 0",
    ]  # fmt: skip
