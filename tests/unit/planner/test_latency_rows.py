"""Latency predictions row by row: columns, bad rows, and what must hold of any prediction."""

import pytest

from shardwright.planner.coefficients import packaged
from shardwright.planner.deployment import setup_of
from shardwright.planner.latency_rows import LATENCY_COLUMNS, predict_rows
from shardwright.planner.point import point_of
from shardwright.shape import load

ROW = {
    "id": "r", "model": "meta-llama/Llama-3.1-8B", "dtype": "bf16", "gpu": "h200_sxm",
    "engine": "vllm", "engine_version": "0.25.1", "tp": "1", "isl": "1024", "osl": "256",
    "concurrency": "16", "window": "steady",
}  # fmt: skip


def predict(**changed):
    [row] = predict_rows([{**ROW, **changed}])
    return row


def figure(column, **changed):
    return float(predict(**changed)[column])


def test_columns_come_in_order_and_unknown_ones_are_copied():
    row = predict(site="lab-3")
    assert tuple(row)[: len(LATENCY_COLUMNS)] == LATENCY_COLUMNS
    assert row["site"] == "lab-3"
    assert row["id"] == "r"


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("model", "nobody/nothing", "unknown-model"),
        ("gpu", "H1000", "unknown-gpu"),
        ("engine", "ollama", "unknown-engine"),
        ("concurrency", "many", "point-not-a-number"),
        ("concurrency", "", "point-without-load"),
        ("concurrency", "99999999", "point-out-of-range"),
        ("isl", "", "point-incomplete"),
        ("isl", "-5", "point-not-a-number"),
        ("tp", "1.5", "point-not-a-number"),
        ("window", "later", "unknown-window"),
        ("prefix_hit_rate", "2", "point-out-of-range"),
        ("pp", "99", "too-many-stages"),
    ],
)
def test_a_bad_row_gets_a_note_and_the_rest_go_on(column, value, code):
    bad, good = predict_rows([{**ROW, column: value}, ROW])
    assert bad["ttft_ms"] == ""
    assert bad["note"].startswith(code)
    assert float(good["ttft_ms"]) > 0


def test_a_model_far_too_large_is_refused_with_what_is_missing():
    row = predict(model="meta-llama/Llama-3.1-405B", window="first-burst")
    assert row["note"].startswith("does-not-fit")
    assert "GiB" in row["note"]


def test_decode_is_never_faster_than_reading_the_weights():
    # 8.03e9 parameters less the input embedding of 128256 x 4096, 2 bytes each, at 4.8e12 bytes/s
    least_ms = (8.03e9 - 128256 * 4096) * 2 / 4.8e12 * 1e3
    assert figure("tpot_ms", concurrency="1") > least_ms


def test_an_idle_h200_answers_as_measured():
    # own measurement h005, h000: Llama-3.1-8B bf16, concurrency 1
    assert figure("ttft_ms", concurrency="1") == pytest.approx(33.95, rel=0.25)
    assert figure("tpot_ms", concurrency="1") == pytest.approx(4.90, rel=0.10)


def test_more_load_is_slower_and_gives_more_throughput():
    few, many = predict(concurrency="4"), predict(concurrency="64")
    assert float(many["tpot_ms"]) > float(few["tpot_ms"])
    assert float(many["output_tokens_s_total"]) > float(few["output_tokens_s_total"])


def test_total_is_per_gpu_times_gpus():
    row = predict(model="meta-llama/Llama-3.1-70B", dtype="fp8", tp="2", pp="2")
    per_gpu = float(row["output_tokens_s_gpu"])
    assert float(row["output_tokens_s_total"]) == pytest.approx(4 * per_gpu, rel=1e-3)


def test_a_cached_prefix_shortens_the_wait():
    assert figure("ttft_ms", prefix_hit_rate="0.9") < figure("ttft_ms")


def test_an_arrival_rate_beyond_reach_is_saturated():
    assert predict(concurrency="", request_rate="1")["saturated"] == "false"
    assert predict(concurrency="", request_rate="500")["saturated"] == "true"


def test_aliases_of_one_thing_are_one_prediction():
    other = predict(gpu="H200", engine="vLLM", model="meta-llama/Llama-3.1-8B-Instruct")
    assert other["ttft_ms"] == predict()["ttft_ms"]


def test_uncalibrated_hardware_says_so():
    assert predict(gpu="MI300X")["origin"] == "assumed"
    assert predict()["origin"] == "modelled"


def test_the_same_table_gives_the_same_figures():
    assert predict(window="first-burst") == predict(window="first-burst")


def test_a_row_does_not_depend_on_the_rows_before_it():
    lengths = [(128, 128), (30000, 2000), (1024, 256), (128, 128)]
    rows = [
        {**ROW, "id": f"{i}", "gpu": "L4", "concurrency": "64", "window": "service",
         "isl": f"{isl}", "osl": f"{osl}"}
        for i, (isl, osl) in enumerate(lengths)
    ]  # fmt: skip
    forward = {row["id"]: row for row in predict_rows(rows)}
    backward = {row["id"]: row for row in predict_rows(reversed(rows))}
    assert forward == backward


def test_attention_in_groups_keeps_the_cache_that_each_groups_ranks_hold():
    # Qwen3-235B-A22B, 4 KV heads of 128, 94 layers in BF16: tp 8 in 8 groups puts all heads on
    # each rank, 4 x 128 x 2 x 2 x 94 = 192,512 bytes a token, and at most 72.9 GiB of an H100
    point = point_of(
        {**ROW, "model": "Qwen/Qwen3-235B-A22B", "dtype": "fp8", "gpu": "H100", "engine": "sglang",
         "engine_version": "", "tp": "8", "attention_dp": "8", "ep": "8"}
    )  # fmt: skip
    made = setup_of(point, load(point.model), packaged())
    assert 0 < made.capacity < 8 * 72.9 * 2**30 / 192512


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tp": "0"}, "tp is 0"),
        ({"tp": "8", "attention_dp": "3"}, "attention_dp 3 does not divide tp 8"),
    ],
)
def test_sizes_that_cannot_be_are_refused(change, said):
    assert said in predict(**change)["note"]
