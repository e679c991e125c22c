"""Rows of a table in, rows with figures or a note out."""

import csv
import json
from pathlib import Path

import pytest

import shardwright.facts
from shardwright.planner.accuracy import compare, render
from shardwright.planner.memory_rows import COLUMNS, predict_rows

CONFIGS = Path(shardwright.facts.__file__).parent / "data" / "models"
ROW = {"id": "a", "model": "Qwen/Qwen3-8B", "gpu": "H100-80GB(79.19GiB)", "tp": "1",
       "engine_version": "0.19.0", "gpu_memory_utilization": "0.95"}  # fmt: skip


def test_columns_that_are_not_ours_are_copied():
    [out] = predict_rows([{**ROW, "owner": "me"}])
    assert out["owner"] == "me"
    assert float(out["weights_gib"]) == pytest.approx(15.27, abs=0.01)
    assert out["note"] == ""


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"model": "no/such"}, "unknown-model"),
        ({"model": "/nowhere/config.json"}, "config-unreadable"),
        ({"gpu": "H1"}, "unknown-gpu"),
        ({"gpu": ""}, "row-field: gpu is empty"),
        ({"tp": "two"}, "row-field: tp is 'two'"),
        ({"tp": "1.5"}, "row-field: tp is 1.5"),
        ({"pp": "99"}, "too-many-stages"),
        ({"quantization": "magic"}, "unknown-quantization"),
        ({"engine": "ollama"}, "unknown-engine"),
        ({"gpu_memory_utilization": "1.7"}, "row-field: gpu_memory_utilization is 1.7"),
    ],
)
def test_a_row_that_cannot_be_predicted_says_why_and_the_rest_go_on(change, note):
    bad, good = predict_rows([{**ROW, **change}, ROW])
    assert bad["note"].startswith(note)
    assert not any(bad[c] for c in COLUMNS if c != "note")
    assert good["kv_tokens"]


def test_a_vision_encoder_is_weighed_and_its_activation_said_to_be_missing():
    [out] = predict_rows([{**ROW, "model": "google/gemma-3-27b-it"}])
    # 27,432,406,640 parameters with the tower: 51.1 GiB
    assert float(out["weights_gib"]) == pytest.approx(51.1, abs=0.2)
    assert "vision encoder" in out["note"]


def test_a_total_of_its_own_goes_before_the_gpus():
    small, large = predict_rows([{**ROW, "gpu_total_gib": "60"}, ROW])
    assert int(small["kv_tokens"]) < int(large["kv_tokens"])


def test_a_dtype_of_8_bits_quantizes_an_unquantized_checkpoint():
    plain, fp8, asked = predict_rows(
        [ROW, {**ROW, "dtype": "fp8"}, {**ROW, "quantization": "fp8", "dtype": "bf16"}]
    )
    assert fp8["weights_gib"] == asked["weights_gib"]
    assert float(fp8["weights_gib"]) < 0.6 * float(plain["weights_gib"])


def test_errors_are_relative_signed_and_name_the_worst():
    truth = [{"id": str(i), "kv_tokens": "100"} for i in range(4)]
    guess = [{"kv_tokens": v} for v in ("100", "110", "80", "")]
    [error] = compare(truth, guess, ["kv_tokens"])
    assert (error.num_rows, error.num_empty, error.worst) == (3, 1, "2")
    assert error.bias == pytest.approx(-0.1 / 3)
    assert error.median_abs == pytest.approx(0.1)
    assert "-3.3 %" in render([error])


def test_what_does_not_fit_has_no_room_and_says_so():
    [row] = predict_rows([{**ROW, "model": "meta-llama/Llama-3.1-405B", "tp": "1"}])
    assert (row["kv_gib"], row["kv_tokens"]) == ("0.000", "0")
    assert "does not fit" in row["note"]


def test_a_config_that_makes_no_sense_gets_a_note_and_the_rest_go_on(tmp_path):
    config = json.loads((CONFIGS / "meta-llama__Llama-3.1-8B.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_attention_heads": 0}))
    bad, good = predict_rows([{**ROW, "model": str(tmp_path / "config.json")}, ROW])
    assert bad["note"]
    assert not bad["weights_gib"]
    assert good["weights_gib"]


STARTS = Path(__file__).resolve().parents[3] / "benchmarks" / "data" / "h100_starts.csv"


@pytest.mark.parametrize(
    "start", list(csv.DictReader(STARTS.read_text().splitlines())), ids=lambda row: row["id"]
)
def test_ranks_and_stages_share_h100s_as_the_engine_logged(start):
    # starts that no figure was fitted to; without NVLink multicast NCCL holds less than is reserved
    # for ranks, and a warm compile cache leaves a little more
    [row] = predict_rows([start])
    weights = float(start["weights_gib_per_gpu"])
    assert float(row["weights_gib"]) == pytest.approx(weights, rel=0.005)
    share = 0.055 if int(start["tp"]) > 1 else 0.03
    assert int(row["kv_tokens"]) == pytest.approx(int(start["kv_tokens"]), rel=share)
