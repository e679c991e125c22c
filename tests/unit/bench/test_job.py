"""A load as a Job: its objects, its command line, its files through a log."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.bench.llama_endpoint import AIPERF, SCENARIO, TARGET, VLLM, endpoint

from shardwright.bench.aiperf import Target
from shardwright.bench.job import job_objects
from shardwright.bench.pods import send_load
from shardwright.bench.pods.send_load import END, LogCut, packed, unpacked
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
