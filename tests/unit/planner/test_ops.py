"""Sizes of a forward pass against the models' own published dimensions."""

from shardwright.model.shape import Cut
from shardwright.planner.ops import Role, ops_of
from shardwright.shape import load


def weights(ops):
    return sum(g.rows * g.cols * g.count for g in ops.gemms)


def test_llama_70b_has_four_products_per_layer():
    ops = ops_of(load("meta-llama/Llama-3.1-70B"))
    sizes = {(g.rows, g.cols, g.cut, g.count) for g in ops.gemms}
    assert sizes == {
        (10240, 8192, Cut.ROWS, 80),
        (8192, 8192, Cut.COLS, 80),
        (57344, 8192, Cut.ROWS, 80),
        (8192, 28672, Cut.COLS, 80),
    }
    [attention] = ops.attention
    assert attention.kv_elements == 2 * 8 * 128
    assert attention.pair_flops == 4 * 64 * 128


def test_every_weight_but_embedding_head_and_vectors_is_in_a_product():
    shape = load("Qwen/Qwen3-32B")
    ops = ops_of(shape)
    tables = 2 * 151936 * 5120
    vectors = 64 * (2 * 5120 + 2 * 128) + 5120
    assert weights(ops) == shape.num_params - tables - vectors


def test_gpt_oss_experts_and_alternating_windows():
    ops = ops_of(load("openai/gpt-oss-120b"))
    [experts] = ops.experts
    assert (experts.count, experts.num_experts, experts.experts_per_token) == (36, 128, 4)
    assert experts.weights_per_expert == 3 * 2880 * 2880
    assert sorted((a.window, a.count) for a in ops.attention if a.window) == [(128, 18)]


def test_deepseek_keeps_one_latent_and_three_dense_layers():
    ops = ops_of(load("deepseek-ai/DeepSeek-V3"))
    [attention] = ops.attention
    assert attention.is_latent
    assert attention.kv_elements == 512 + 64
    assert ops.num_moe_layers == 58
    [experts] = ops.experts
    assert experts.weights_per_expert == 3 * 7168 * 2048
    assert any(g.role is Role.SHARED_EXPERT for g in ops.gemms)
