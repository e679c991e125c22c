"""What the engine and its GPUs did during a load, from their metrics."""

import json
from pathlib import Path

import pytest

from shardwright.bench.server import read_server_metrics, read_server_side
from shardwright.bench.telemetry import read_gpu_use

DATA = Path(__file__).parents[2] / "data" / "bench"


def test_server_metrics_of_a_real_engine():
    server = read_server_metrics((DATA / "server_metrics-vllm-0.32.0.json").read_text())
    assert server.preemptions == 0
    assert server.queue_max == 0
    assert server.running_max == 4
    assert server.explain() == ()


def test_server_metrics_explain_a_full_cache():
    def series(**stats):
        return {"series": [{"stats": stats}]}

    metrics = {
        "vllm:num_preemptions": series(total=212),
        "vllm:num_requests_waiting": series(max=9, avg=3),
    }
    text = json.dumps({"metrics": metrics})
    lines = read_server_metrics(text).explain()
    assert "212 preemptions" in lines[0]
    assert "up to 9, 3.0 on average" in lines[1]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metrics": 3}', '{"metrics": null}'])
def test_broken_server_metrics_are_unknown_not_an_error(text):
    assert read_server_metrics(text).explain() == ()


def scrape(at, usage, preemptions, phase="profiling"):
    def one(value):
        return [{"value": value}]

    metrics = {
        "vllm:kv_cache_usage_perc": one(usage),
        "vllm:num_preemptions": one(preemptions),
        "vllm:num_requests_running": one(4),
    }
    return json.dumps({"timestamp_ns": at * 10**9, "metrics": metrics, "benchmark_phase": phase})


def test_a_full_cache_is_told_with_the_second_it_was_full_from():
    series = "\n".join(
        [scrape(90, 0.1, 3, "warmup"), scrape(100, 0.4, 3), scrape(120, 0.7, 3),
         scrape(140, 0.99, 3), scrape(160, 0.99, 215)]
    )  # fmt: skip
    export = {"metrics": {"vllm:num_preemptions": {"series": [{"stats": {"total": 212}}]}}}
    found = read_server_side(json.dumps(export), series)
    assert found.full_from_s == 40
    assert found.scrapes[-1].preemptions == 212
    assert found.explain()[0].startswith("KV cache full from t=40 s: 212 preemptions")
    assert read_server_side(None, series) is None


def test_gpu_telemetry_counts_only_what_was_seen_during_the_load():
    def line(gpu, at, busy, watts):
        data = {
            "nvidia_gpu_utilization": busy,
            "nvidia_power_usage": watts,
            "nvidia_memory_used": 70,
        }
        row = {"gpu_uuid": gpu, "timestamp_ns": at * 10**9, "telemetry_data": data}
        return json.dumps(row)

    series = "\n".join(
        [
            line("a", 1, 0, 80),
            line("a", 10, 90, 500),
            line("b", 10, 50, 400),
            line("b", 12, 70, 400),
        ]
    )
    found = read_gpu_use(series, 5, 20)
    # means of the GPUs: 90 and 60 %; 500 and 400 W
    assert (found.num_gpus, found.utilization, found.utilization_least) == (2, 0.75, 0.6)
    assert found.power_w == 450
    assert read_gpu_use(series, 30, 40) is None
