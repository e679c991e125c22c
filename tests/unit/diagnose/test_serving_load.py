"""A slow service, told from what the engine says of its load."""

import pytest

from shardwright.diagnose.doctor import examine
from shardwright.diagnose.evidence import Document
from shardwright.diagnose.scanning import Patterns, scan
from shardwright.diagnose.serving_load import samples

ARGS = "INFO non-default args: {{'model': 'm', 'pipeline_parallel_size': {stages}}}\n"


def found(text, name="llm-0/engine.log"):
    return {f.code: f for f in examine([Document(name=name, chunks=[text.encode()])]).findings}


def vllm(running, waiting=0, kv=1.0, count=1, more=""):
    line = (
        "(APIServer pid=1) INFO 11-20 09:03:11 [loggers.py:257] Engine 000: Avg prompt throughput: "
        f"1.0 tokens/s, Avg generation throughput: 11.3 tokens/s, Running: {running} reqs, "
        f"Waiting: {waiting} reqs, {more}GPU KV cache usage: {kv}%, Prefix cache hit rate: 0.0%\n"
    )
    return line * count


def sglang(running, waiting, usage):
    return (
        f"[2026-02-18 11:01:30 TP0] Decode batch, #running-req: {running}, #token: 24011, "
        f"token usage: {usage}, cuda graph: True, gen throughput (token/s): 802.22, "
        f"#queue-req: {waiting}\n"
    )


def page(**values):
    names = {
        "running": "vllm:num_requests_running",
        "waiting": "vllm:num_requests_waiting",
        "kv": "vllm:kv_cache_usage_perc",
        "preempted": "vllm:num_preemptions_total",
    }
    head = "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
    return head + "".join(
        f'{names[key]}{{engine="0",model_name="m"}} {value}\n' for key, value in values.items()
    )


def test_one_request_on_four_stages_is_a_quarter_of_their_work():
    finding = found(ARGS.format(stages=4) + vllm(1, count=6))["pipeline-starved"]
    assert finding.confidence >= 0.7
    assert "At most 1 requests ran at a time on 4 pipeline stages" in finding.cause
    assert " 25 %" in finding.cause
    assert finding.evidence[0].line == 2


@pytest.mark.parametrize(
    "text",
    [
        ARGS.format(stages=4) + vllm(1, count=5) + vllm(4),  # once all stages had work
        ARGS.format(stages=4) + vllm(1, waiting=3, count=6),  # there is work that waits elsewhere
        ARGS.format(stages=4) + vllm(0, count=9),  # nobody asks
        ARGS.format(stages=1) + vllm(1, count=6),
    ],
)
def test_stages_with_work_or_without_any_request_are_no_finding(text):
    assert "pipeline-starved" not in found(text)


def test_one_moment_is_told_but_not_with_confidence():
    names = "(Worker_PP3_TP0 pid=9) INFO loading\n"
    finding = found(names + page(running=2.0, waiting=0.0))["pipeline-starved"]
    assert finding.confidence < 0.7
    assert "on 4 pipeline stages" in finding.cause


def test_each_engine_of_a_metrics_page_is_a_sample():
    text = "".join(
        f'sglang:num_running_reqs{{dp_rank="{rank}",tp_rank="{tp}"}} {running}\n'
        f'sglang:token_usage{{dp_rank="{rank}",tp_rank="{tp}"}} 0.5\n'
        for rank, tp, running in ((0, 0, 3.0), (0, 1, 3.0), (1, 0, 7.0))
    )
    evidence = scan([Document(name="metrics.txt", chunks=[text.encode()])], Patterns({}))
    assert [(s.running, s.kv, s.waiting) for s in samples(evidence)] == [(3, 0.5, 0), (7, 0.5, 0)]


def test_preemptions_at_a_full_cache_are_named():
    finding = found(page(running=180.0, waiting=44.0, kv=0.993, preempted=712.0), "metrics.txt")
    first = finding["kv-cache-thrashing"]
    assert first.confidence >= 0.7
    assert "99 %, 180 requests running, 44 waiting, 712 taken back" in first.cause
    assert first.evidence[0].line == 2


def test_a_full_cache_without_a_queue_is_good_use():
    assert found(page(running=180.0, waiting=0.0, kv=0.99, preempted=0.0), "metrics.txt") == {}
    assert found(page(running=180.0, waiting=9.0, kv=0.60, preempted=9.0), "metrics.txt") == {}


def test_vllms_own_line_tells_preemptions():
    text = vllm(90, waiting=20, kv=98.1, more="Preemptions: 31, ")
    assert found(text)["kv-cache-thrashing"].confidence >= 0.7


def test_sglangs_own_line_tells_a_full_cache():
    retracts = "[2026-02-18 11:01:30 TP0] KV cache pool is full. Retract requests. #retracted: 1\n"
    finding = found(sglang(60, 13, "1.00") + retracts)["kv-cache-thrashing"]
    assert finding.confidence >= 0.7


def test_a_cap_on_sequences_beside_an_empty_cache_is_named():
    args = "INFO non-default args: {'model': 'm', 'max_num_seqs': 8}\n"
    assert found(args + vllm(8, waiting=30, kv=4.0))["sequence-cap"].confidence >= 0.7
    assert "sequence-cap" not in found(args + vllm(7, waiting=30, kv=4.0))
    assert "sequence-cap" not in found(args + vllm(8, waiting=30, kv=80.0))


@pytest.mark.parametrize(
    ("layers", "is_fault"), [("31, 32, 32, 31", False), ("20, 60", True), ("40,40", False)]
)
def test_stages_of_very_different_size_are_named(layers, is_fault):
    codes = found(f"INFO Hidden layers were unevenly partitioned: [{layers}]. This can be set\n")
    assert ("pipeline-stages-uneven" in codes) is is_fault


def test_a_real_failure_goes_before_a_slow_service():
    text = ARGS.format(stages=4) + vllm(1, count=6)
    oom = "ERROR 07-12 10:12:07 torch.OutOfMemoryError: CUDA out of memory. Tried to allocate\n"
    findings = list(found(text + oom).values())
    assert findings[0].code == "gpu-oom"
    assert findings[1].consequence_of == "gpu-oom"


NOISE = (
    "n0:80:990 [0] NCCL INFO Channel 03/0 : 0[0] -> 1[1] via P2P/CUMEM/read comm 0x55 nRanks 16\n"
)


def noise(num_bytes):
    return NOISE * (num_bytes // len(NOISE))


def test_the_end_of_a_long_log_tells_the_load_whatever_its_start():
    text = noise(600_000) + vllm(180, waiting=44, kv=99.3, more="Preemptions: 712, ", count=6)
    finding = found(text)["kv-cache-thrashing"]
    assert finding.confidence >= 0.7
    assert finding.evidence[0].line == 600_000 // len(NOISE) + 1


def test_a_long_log_is_judged_by_how_things_stand_now():
    busy, calm = vllm(90, waiting=20, kv=99.0, more="Preemptions: 3, "), vllm(3, kv=4.0)
    assert "kv-cache-thrashing" in found(busy * 9 + noise(700_000))
    assert "kv-cache-thrashing" not in found(busy * 9 + noise(700_000) + calm * 9)


def test_a_crash_that_fills_the_end_does_not_hide_the_load():
    crash = '  File "/opt/vllm/v1/engine/core.py", line 1012, in run_busy_loop\n' * 20_000
    served = noise(9_000) + vllm(90, waiting=20, kv=99.0, more="Preemptions: 3, ")
    text = served * 200 + crash
    first = found(text)["kv-cache-thrashing"].evidence[0]
    assert "Running: 90 reqs" in first.text
    assert text.splitlines()[first.line - 1].startswith(first.text[:80])


def test_settings_below_a_noisy_start_are_found():
    text = noise(600_000) + ARGS.format(stages=4) + noise(1_300_000) + vllm(1, count=9)
    assert found(text)["pipeline-starved"].confidence >= 0.7
