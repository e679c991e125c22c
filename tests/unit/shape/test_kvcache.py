"""KV-cache groups and tokens, against hand arithmetic and sizes that vLLM logged."""

import pytest

from shardwright.model.layout import Layout, stages_of
from shardwright.shape import load
from shardwright.shape.kvcache import KvLayout, kv_bytes_per_token, kv_layout, kv_tokens

GIB = 2**30


def laid_out(name, tp=1, pp=1, **kinds) -> KvLayout:
    shape = load(name)
    stages = stages_of((shape.num_layers // pp,) * pp)
    return kv_layout(shape, Layout(tensor_parallel=tp, pipeline_parallel=pp), stages, **kinds)


# "Available KV cache memory" and "GPU KV cache size" of vLLM 0.19 and 0.25.1 (GiB has two decimals)
@pytest.mark.parametrize(
    ("name", "tp", "kinds", "available_gib", "logged_tokens"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 1, {}, 58.11, 476_016),
        ("meta-llama/Llama-3.1-8B-Instruct", 1, {"kv_cache_dtype": "fp8"}, 58.11, 952_032),
        ("meta-llama/Llama-3.1-8B-Instruct", 1, {"dtype": "float32"}, 42.80, 175_296),
        ("meta-llama/Llama-3.1-8B-Instruct", 2, {}, 63.76, 1_044_688),
        ("google/gemma-2-27b-it", 1, {}, 20.59, 58_672),
        ("google/gemma-2-2b-it", 1, {}, 66.47, 670_160),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 2, {}, 28.44, 465_936),
        ("meta-llama/Llama-3.1-70B", 1, {}, 2.22, 7_248),
    ],
)
def test_tokens_are_what_the_engine_logged(name, tp, kinds, available_gib, logged_tokens):
    kv = laid_out(name, tp, **kinds)
    found = kv_tokens(kv, [available_gib * GIB], max_model_len=8192)
    assert found == pytest.approx(logged_tokens, rel=0.003)


def test_a_latent_is_one_vector_per_token_whatever_the_ranks():
    shape = load("deepseek-ai/DeepSeek-V3")
    [stage] = stages_of((61,))
    for tp in (1, 8):
        assert kv_bytes_per_token(shape, Layout(tensor_parallel=tp), stage) == 61 * 576 * 2


def test_kv_heads_repeat_so_more_ranks_stop_saving():
    shape = load("meta-llama/Llama-3.1-70B")
    [stage] = stages_of((80,))
    per_rank = [kv_bytes_per_token(shape, Layout(tensor_parallel=tp), stage) for tp in (1, 8, 16)]
    assert per_rank == [327_680, 40_960, 40_960]


def test_windows_and_full_layers_share_one_pool_in_groups():
    kv = laid_out("google/gemma-3-27b-it")
    # 62 layers, every sixth full: 10 full, 52 sliding; groups of 10, the last ones short
    assert [g.window for g in kv.groups].count(None) == 1
    assert len(kv.groups) == 1 + 6
    assert kv.block_bytes == (16 * 16 * 128 * 2 * 2 * 10,)


def test_nearly_equal_kinds_are_grouped_by_the_commoner():
    kv = laid_out("google/gemma-2-27b-it")
    assert [len(g.layers) for g in kv.groups] == [23, 23]


def test_state_layers_stretch_the_block_to_their_state():
    kv = laid_out("Qwen/Qwen3-Next-80B-A3B-Instruct")
    # one state: conv 8,192 x 3 x 2 bytes and 32 x 128 x 128 x 2 bytes; a token 2 x 512 x 2 bytes
    state = 8_192 * 3 * 2 + 32 * 128 * 128 * 2
    assert kv.block_tokens == -(-state // (2_048 * 16)) * 16
    assert len(kv.groups) == 4


def test_newer_versions_count_requests_of_full_length():
    kv = laid_out("google/gemma-2-27b-it")
    available = [20.59 * GIB]
    old = kv_tokens(kv, available, max_model_len=8192)
    new = kv_tokens(kv, available, max_model_len=8192, in_flight_tokens=0)
    blocks = int(20.59 * GIB // kv.block_bytes[0])
    # full layers hold 512 blocks, sliding ones ceil(4095 / 16) + 1 = 257
    assert new == int(blocks / (512 + 257) * 8192)
    assert new > old


def test_the_poorest_stage_decides():
    kv = laid_out("meta-llama/Llama-3.1-8B-Instruct", pp=2)
    assert kv_tokens(kv, [66.54 * GIB, 65.63 * GIB], max_model_len=8192) == pytest.approx(
        1_075_312, rel=0.001
    )
    assert kv_tokens(kv, [-1.0, 65 * GIB], max_model_len=8192) == 0
