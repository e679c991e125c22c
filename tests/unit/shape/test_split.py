"""Bytes per rank, against hand arithmetic and against weights that vLLM logged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardwright.model.layout import Layout, Stage, stages_of
from shardwright.model.shape import Cut, Tensor
from shardwright.shape import load
from shardwright.shape.expert_kernels import MXFP4_BEFORE, MXFP4_HOPPER
from shardwright.shape.quantization import requantized
from shardwright.shape.schemes import MXFP4
from shardwright.shape.split import rank_tensor, stage_weights

GIB = 2**30


def weights(shape, tp=1, per_stage=None, stage=0, dtype=None, **degrees):
    stages = stages_of(per_stage or (shape.num_layers,))
    layout = Layout(tensor_parallel=tp, pipeline_parallel=len(stages), **degrees)
    return stage_weights(shape, layout, stages[stage], dtype=dtype)


# `Model loading took`, vLLM 0.19 and 0.25.1: measured rows of benchmarks/data/memory.csv
@pytest.mark.parametrize(
    ("name", "quantization", "dtype", "tp", "per_stage", "logged_gib"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", None, None, 1, None, 14.99),
        ("meta-llama/Llama-3.1-8B-Instruct", None, "float32", 1, None, 29.98),
        ("meta-llama/Llama-3.1-8B-Instruct", None, None, 2, None, 7.51),
        ("meta-llama/Llama-3.1-8B-Instruct", None, None, 1, (16, 16), 7.51),
        ("meta-llama/Llama-3.1-8B-Instruct", "fp8", None, 1, None, 8.49),
        ("RedHatAI/Qwen2.5-7B-Instruct-fp8-dynamic", None, None, 1, None, 8.14),
        ("google/gemma-2-27b-it", None, None, 1, None, 50.72),
        ("google/gemma-2-2b-it", None, None, 1, None, 4.90),
        ("microsoft/phi-4", None, None, 1, None, 27.39),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", None, None, 2, None, 43.51),
        ("moonshotai/Kimi-Dev-72B", None, None, 2, None, 67.82),
        ("Qwen/Qwen2.5-7B-Instruct", None, None, 1, None, 14.25),
        ("Qwen/Qwen3-8B", None, None, 1, None, 15.27),
        ("meta-llama/Llama-3.1-70B", None, None, 1, None, 131.45),
        ("Qwen/Qwen3-32B", None, None, 1, None, 61.03),
    ],
)
def test_weights_are_what_the_engine_logged(name, quantization, dtype, tp, per_stage, logged_gib):
    shape = requantized(load(name), quantization or "none")
    held = weights(shape, tp, per_stage, dtype=dtype).total / GIB
    assert held == pytest.approx(logged_gib, rel=0.001)


@pytest.mark.parametrize(
    ("name", "tp", "pads", "logged_gib", "off"),
    [  # vLLM's logs on H100: 0.11.0 (llm-d-planner's), 0.25.1 (benchmarks/data/h100_starts.csv)
        ("openai/gpt-oss-20b", 1, MXFP4_BEFORE, 13.47, 0.002),
        ("openai/gpt-oss-20b", 1, MXFP4_HOPPER, 13.02, 0.003),
        ("openai/gpt-oss-120b", 2, MXFP4_HOPPER, 31.36, 0.003),
    ],
)
def test_mxfp4_experts_take_what_their_kernels_pad_them_to(name, tp, pads, logged_gib, off):
    shape = requantized(load(name), "none")
    stage = Stage(index=0, first_layer=0, num_layers=shape.num_layers)
    held = stage_weights(shape, Layout(tensor_parallel=tp), stage, pads=pads).total / GIB
    assert held == pytest.approx(logged_gib, rel=off)


def test_hopper_pads_a_rank_s_features_and_the_scales_of_mxfp4_experts():
    # gpt-oss at TP=2: 1,440 features a rank -> 1,472; gate and up together 2,944 rows, scales 3,072
    up = Tensor(
        name="up_proj", rows=2880, cols=2880, copies=1, cut=Cut.ROWS, scheme=MXFP4, is_routed=True
    )
    held = rank_tensor(up, Layout(tensor_parallel=2), 2, MXFP4_HOPPER)
    assert (held.rows, held.cols) == (1472, 2880)
    assert held.num_bytes == 1472 * 1440 + 1536 * 90


def test_vocabulary_is_padded_before_it_is_cut():
    table = Tensor(name="embed", rows=49_155, cols=2, cut=Cut.VOCABULARY)
    # 49,155 -> 49,216 (769 x 64); over 8 ranks 6,152
    assert rank_tensor(table, Layout(tensor_parallel=8), 2).rows == 6_152


def test_kv_heads_are_repeated_when_ranks_outnumber_them():
    key = Tensor(name="k_proj", rows=8 * 128, cols=4096, cut=Cut.KV_HEADS, unit=128)
    rows = [rank_tensor(key, Layout(tensor_parallel=tp), 2).rows for tp in (1, 4, 8, 16)]
    assert rows == [1024, 256, 128, 128]


def test_experts_go_whole_to_expert_parallel_ranks():
    shape = load("Qwen/Qwen3-30B-A3B")
    cut = weights(shape, tp=8).experts
    whole = weights(shape, tp=8, expert_parallel=8).experts
    assert cut == whole == 128 * 3 * 2048 * 768 * 2 * 48 // 8


def test_ends_are_on_the_ends():
    shape = load("meta-llama/Llama-3.1-405B")
    first, middle, last = (weights(shape, 8, (31, 32, 32, 31), stage=i) for i in (0, 1, 3))
    table = 128_256 // 8 * 16_384 * 2
    assert (first.embedding, first.head) == (table, 0)
    assert (middle.embedding, middle.head) == (0, 0)
    assert (last.embedding, last.head) == (0, table)


def test_a_tied_head_is_held_twice_when_stages_part_it_from_the_embedding():
    shape = load("meta-llama/Llama-3.2-1B-Instruct")
    first, last = (weights(shape, 1, (8, 8), stage=i) for i in (0, 1))
    assert first.embedding == last.embedding == 128_256 * 2_048 * 2
    assert last.head == 0


def test_a_quantized_latent_up_projection_leaves_a_copy():
    # 61 layers x 128 heads x (128 + 128) x 512 x 2 bytes over 8 ranks
    assert weights(load("deepseek-ai/DeepSeek-V3"), tp=8).absorbed == 61 * 32_768 * 512 * 2 // 8


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["meta-llama/Llama-3.1-70B", "Qwen/Qwen3-30B-A3B", "openai/gpt-oss-20b"]),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 4]),
)
def test_the_parts_of_all_ranks_hold_the_whole_model(name, tp, pp):
    shape = load(name)
    n = shape.num_layers // pp
    per_stage = (*(n,) * (pp - 1), shape.num_layers - n * (pp - 1))
    held = sum(weights(shape, tp, per_stage, stage=i).total * tp for i in range(pp))
    whole = weights(shape).total
    assert held >= whole * 0.999
    if shape.quantization is None:  # MXFP4 kernels pad a cut expert
        assert held < whole * 1.08
