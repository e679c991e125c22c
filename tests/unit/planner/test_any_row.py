"""What must hold of any table: every row comes back, figures are sane, order does not matter."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from shardwright.planner.latency_rows import LATENCY_COLUMNS, predict_rows
from shardwright.planner.memory_rows import COLUMNS as MEMORY_COLUMNS
from shardwright.planner.memory_rows import predict_rows as predict_memory


def of(*values):
    return st.sampled_from(values)


WORDS = ["", "0", "-1", "1.5", "nan", "inf", "1e309", "1e100", "many", " ", "None"]


SOUND = st.fixed_dictionaries(
    {
        "model": of("Qwen/Qwen3-8B", "openai/gpt-oss-20b", "Qwen/Qwen3-30B-A3B"),
        "dtype": of("bf16", "fp8", "auto"),
        "gpu": of("H100", "h200_sxm", "L4", "B200"),
        "engine": of("vllm", "sglang", "trtllm"),
        "engine_version": of("", "0.25.1"),
        "tp": of("1", "2", "8"),
        "pp": of("1", "2"),
        "ep": of("1", "8"),
        "attention_dp": of("1", "2"),
        "isl": of("128", "4000", "100000"),
        "osl": of("2", "100"),
        "concurrency": of("1", "7", "200", "max"),
        "request_rate": of("", "3"),
        "max_num_seqs": of("", "4", "100000000"),
        "max_num_batched_tokens": of("", "1", "512"),
        "prefix_hit_rate": of("", "0.5", "1"),
        "gpu_memory_utilization": of("", "0.9"),
        "window": of("", "steady", "service"),
    }
)
COLUMNS = [
    "model",
    "dtype",
    "gpu",
    "engine",
    "tp",
    "pp",
    "ep",
    "attention_dp",
    "isl",
    "osl",
    "concurrency",
    "request_rate",
    "max_num_seqs",
    "max_num_batched_tokens",
    "prefix_hit_rate",
    "gpu_memory_utilization",
    "window",
]
BROKEN = st.builds(
    lambda row, column, word: {**row, column: word},
    SOUND,
    st.sampled_from(COLUMNS),
    st.sampled_from(WORDS),
)
ROWS = st.lists(st.one_of(SOUND, SOUND, BROKEN), min_size=1, max_size=3)
FIGURES = [c for c in LATENCY_COLUMNS if c not in {"id", "saturated", "origin", "note"}]


@settings(max_examples=25)
@given(rows=ROWS)
def test_latency_of_any_table(rows):
    rows = [{**row, "id": str(i)} for i, row in enumerate(rows)]
    found = list(predict_rows(rows))
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    for row in found:
        values = [float(row[c]) for c in FIGURES if row[c]]
        assert len(values) == len(FIGURES) or (not values and row["note"])
        assert all(math.isfinite(v) and v >= 0 for v in values)
        assert not row["note"].startswith("cannot-predict")
    assert list(predict_rows(reversed(rows))) == found[::-1]


@settings(max_examples=25)
@given(rows=ROWS)
def test_memory_of_any_table(rows):
    for row in predict_memory(rows):
        figures = [c for c in MEMORY_COLUMNS if c not in {"origin", "note"}]
        values = [float(row[c]) for c in figures if row[c]]
        assert len(values) == len(figures) or (not values and row["note"])
        assert all(math.isfinite(v) and v >= 0 for v in values)
        assert not row["note"].startswith("cannot-predict")


def test_a_replay_without_end_is_refused_by_name():
    row = {
        "id": "0",
        "model": "Qwen/Qwen3-8B",
        "gpu": "H100",
        "engine": "vllm",
        "isl": "100000",
        "osl": "100",
        "concurrency": "64",
        "max_num_batched_tokens": "1",
    }
    found = next(iter(predict_rows([row])))
    assert "max_num_batched_tokens" in found["note"] or "pieces" in found["note"]
    assert not found["ttft_ms"]
