"""Causality, decoys, hostile input, and the shape of the answer."""

import json
import time
from pathlib import Path

import pytest

from shardwright.diagnose.answer import as_text
from shardwright.diagnose.doctor import as_json, examine
from shardwright.diagnose.evidence import Document


def report_of(*texts, name="rank{}.log"):
    documents = [
        Document(name=name.format(n), chunks=[text.encode() if isinstance(text, str) else text])
        for n, text in enumerate(texts)
    ]
    return examine(documents)


def codes(report):
    return [f.code for f in report.findings]


WATCHDOG = (
    "[rank3]:[E712 10:22:09.100 ProcessGroupNCCL.cpp:632] [Rank 3] Watchdog caught collective "
    "operation timeout: WorkNCCL(SeqNum=9, OpType=ALLREDUCE) ran for 600000 ms\n"
)
OOM = (
    "ERROR 07-12 10:12:07 [core.py:396] torch.OutOfMemoryError: CUDA out of memory. Tried to "
    "allocate 2.00 GiB. GPU 3 has a total capacity of 79.10 GiB\n"
)


def test_watchdog_on_one_rank_is_a_consequence_of_oom_on_another():
    report = report_of(WATCHDOG, OOM)
    assert codes(report) == ["gpu-oom", "collective-timeout"]
    assert report.findings[1].consequence_of == "gpu-oom"
    assert report.findings[0].evidence[0].document == "rank1.log"
    assert "2.00 GiB" in report.findings[0].cause


def test_watchdog_alone_is_not_named_with_confidence():
    assert report_of(WATCHDOG).findings[0].confidence < 0.7


def test_generic_last_lines_are_no_cause():
    report = report_of(
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
        "[2025-03-05 11:17:46] Received sigquit from a child process. It usually means the child "
        "failed.\n"
    )
    assert report.unknown
    assert report.unusual == ()


def test_two_independent_causes_are_both_reported():
    report = report_of(
        "--- source: kubectl describe\n"
        '  Warning  Failed  1s  kubelet  Failed to pull image "x/y:z": manifest unknown\n'
        "--- source: vllm log\n" + OOM
    )
    assert {"image-pull-failed", "gpu-oom"} == set(codes(report))
    assert all(f.confidence >= 0.7 and f.consequence_of is None for f in report.findings)


def test_probe_kill_after_oomkilled_is_the_oom():
    report = report_of(
        "--- source: kubectl describe\n    Last State: Terminated\n      Reason: OOMKilled\n"
        "      Exit Code: 137\n  Warning  Unhealthy  1s  kubelet  Liveness probe failed: timeout\n"
    )
    assert codes(report)[0] == "host-oom-killed"
    assert report.findings[0].confidence >= 0.7


def test_full_shared_memory_is_not_a_full_disk():
    report = report_of("OSError: [Errno 28] No space left on device: '/psm_abc123'\n")
    assert codes(report) == ["shm-too-small"]
    assert "disk-full" in [r.code for r in report.findings[0].ruled_out]


def test_nothing_known_shows_the_unusual_lines_and_what_to_collect():
    report = report_of("INFO fine\nERROR [flux.py:1] capacitor discharge failed\nINFO fine\n")
    assert report.unknown
    assert [h.line for h in report.unusual] == [2]
    shown = as_text(report)
    assert "capacitor discharge failed" in shown
    assert "kubectl logs --previous" in shown


def test_earlier_of_two_equally_sure_causes_comes_first():
    late = (
        "ERROR 07-12 10:30:00 [x.py:1] OSError: [Errno 30] Read-only file system: '/model-cache'\n"
    )
    early = "ERROR 07-12 10:10:00 [x.py:1] PTX was compiled with an unsupported toolchain\n"
    assert codes(report_of(late, early)) == ["driver-cuda-mismatch", "volume-not-usable"]


@pytest.mark.parametrize(
    "line",
    [
        "\x1b[31mERROR\x1b[0m torch.OutOfMemoryError: CUDA \x1b[1mout of\x1b[0m memory",
        (
            '{"level":"error","msg":"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate '
            '\\"2\\" GiB"}'
        ),
        "(RayWorkerWrapper pid=3, ip=10.0.0.2) CUDA error: out of memory [repeated 3x across it]",
        "[1,3]<stderr>:torch.OutOfMemoryError: CUDA out of memory. Tried to alloc",
        "[pod/llm-0-1/vllm] torch.OutOfMemoryError: CUDA out of memory.",
    ],
)
def test_dressed_lines_are_read(line):
    assert codes(report_of(line))[0] == "gpu-oom"


def test_chunks_may_end_anywhere():
    whole = (b"INFO fine\n" * 50) + OOM.encode() + b"INFO fine\n"
    expected = examine([Document(name="a", chunks=[whole])]).findings
    for size in (1, 7, 100):
        pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
        assert examine([Document(name="a", chunks=pieces)]).findings == expected
    assert expected[0].evidence[0].line == 51


def test_no_terminal_escape_reaches_the_reader():
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31mERROR CUDA out of memory \u202e\x1bP1$\x08\x08 done\n"
    report = report_of(evil)
    for shown in (as_text(report), json.dumps(as_json(report), ensure_ascii=False)):
        assert not [c for c in shown if ord(c) < 32 and c != "\n"]
        assert not {"\x9b", "\u202e"} & set(shown)


@pytest.mark.parametrize(
    "line",
    [
        "a" * 3_000_000,
        "Error while creating " * 100_000,
        "gloo " * 400_000 + "\n",
        "nodes are available: " * 100_000,
        "{" * 500_000 + "\\" * 500_000,
        ("No space left on device " + "x" * 150) * 10_000,
    ],
    ids=["long", "prefix", "gloo", "scheduler", "brackets", "enospc"],
)
def test_hostile_lines_take_linear_time(line):
    started = time.process_time()  # which a busy machine does not stretch
    report_of(line)
    assert time.process_time() - started < 15


def test_broken_bytes_are_read():
    assert codes(report_of(b"\xff\xfe\x00 CUDA out of memory \x80\n"))[0] == "gpu-oom"


def test_json_has_the_agreed_shape():
    found = as_json(report_of(OOM))
    assert set(found) == {"findings", "unknown", "unusual", "collect_next", "unread"}
    first = found["findings"][0]
    assert {
        "rank",
        "code",
        "family",
        "confidence",
        "cause",
        "evidence",
        "remedy",
        "ruled_out",
    } <= set(first)
    assert first["rank"] == 1
    assert first["evidence"][0]["file"] == "rank0.log"
    assert first["evidence"][0]["line"] == 1
    assert first["evidence"][0]["text"].startswith("ERROR 07-12")


def test_every_key_of_the_json_is_in_the_docs():
    found = as_json(report_of(OOM, WATCHDOG))
    page = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
    keys = {*found, *found["findings"][0], *found["findings"][0]["evidence"][0]}
    assert [key for key in sorted(keys) if f"`{key}" not in page and f".{key}" not in page] == []


def test_an_exit_code_of_137_speaks_for_memory_only_where_no_probe_explains_it():
    ended = "    Last State:  Terminated\n      Exit Code:  137\n"
    killed = (
        "  Normal  Killing  9s  kubelet  Container e failed liveness probe, will be restarted\n"
    )
    head = "--- source: kubectl describe\n"
    assert codes(report_of(head + ended)) == ["host-oom-killed"]
    assert codes(report_of(head + ended + killed)) == ["probe-killed"]


def test_the_text_is_folded_at_the_width_and_tells_consequences_in_short():
    shown = as_text(report_of(WATCHDOG * 2, OOM), width=60)
    assert max(map(len, shown.splitlines())) <= 60
    assert shown.startswith("1. A GPU ran out of memory [gpu-oom]")
    assert "   then:   A collective operation timed out" in shown
    assert "2. " not in shown


def test_a_hint_is_called_a_hint():
    assert as_text(report_of(WATCHDOG)).startswith(
        "Nothing certain; what the evidence hints at:\n1. "
    )
    assert "hints" not in as_text(report_of(OOM))


def test_a_hint_above_something_certain_does_not_call_all_uncertain():
    slow_and_ended = (
        "--- source: nccl log\n"
        "w:1:1 [0] NCCL INFO Channel 00/0 : 9[1] -> 8[0] [receive] via NET/Socket/0\n"
        "w:1:9 [0] misc/socket.cc:72 NCCL WARN socketProgress: Connection closed by remote peer\n"
    )
    assert as_text(report_of(slow_and_ended)).startswith("What ended it is not certain;")


def test_a_long_line_is_shown_around_what_was_found_in_it():
    """As JSON logs have it: a whole traceback in one line, its error last."""
    frames = "".join(f'  File \\"/opt/vllm/m{n}.py\\", line {n}, in f\\n' for n in range(400))
    line = (
        '{"time": "2026-11-27T03:02:11Z", "level": "ERROR", "message": "Traceback:\\n'
        f'{frames}ValueError: No available memory for the cache blocks. Try"}}\n'
    )
    for text in (line, line.replace(frames, frames[:700])):
        report = report_of(text)
        assert codes(report) == ["kv-cache-too-small"]
        hit = report.findings[0].evidence[0]
        assert hit.text.startswith('{"time": "2026-11-27T03:02:11Z", "level": "ERROR"')
        assert hit.text[hit.at :].startswith("No available memory")
        assert len(hit.text) <= 1010
        shown = as_text(report)
        assert 'rank0.log:1: {"time": "2026-11-27T03:02:11Z"' in shown
        assert "No available memory for the cache blocks" in shown
        assert max(map(len, shown.splitlines())) < 500


def test_what_a_process_says_again_is_shown_once():
    refused = (
        "[W1127 {clock}.444 socket.cpp:767] [c10d] The client socket has failed to connect to "
        "[llm-0.llm]:29500 (errno: 110 - Connection timed out).\n"
    )
    text = "".join(refused.format(clock=f"02:5{n}:12") for n in range(5))
    found = report_of(text).findings[0]
    assert (found.code, [h.line for h in found.evidence]) == ("store-timeout", [1])
    assert "at llm-0.llm:29500" in found.cause
    assert "`nc -vz llm-0.llm 29500`" in found.remedy


def test_the_scheduler_is_quoted_without_its_afterthought():
    text = (
        "--- source: kubectl get events\n8m  Warning  FailedScheduling  pod/llm-1  0/12 nodes are "
        "available: 4 Insufficient nvidia.com/gpu, 8 node(s) didn't match Pod's node "
        "affinity/selector. preemption: 0/12 nodes are available: 12 Preemption is not helpful.\n"
    )
    first = report_of(text).findings[0]
    assert first.cause.endswith("8 node(s) didn't match Pod's node affinity/selector.")
    assert "preemption" not in first.cause


def test_a_group_that_has_served_has_working_copies_between_gpus():
    channel = "n0:83:990 [3] NCCL INFO Channel 00/0 : 3[3] -> 4[4] via P2P/CUMEM\n"
    served = "INFO Engine 000: Avg generation throughput: 93.0 tokens/s, Running: 12 reqs\n"
    assert "gpu-p2p-broken" in codes(report_of(channel + WATCHDOG))
    assert codes(report_of(channel + served + WATCHDOG)) == ["collective-timeout"]
