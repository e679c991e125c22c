"""The small model keeps what decides the wiring. Expected values are hand arithmetic."""

import pytest

from shardwright.engines.vllm import split_layers
from shardwright.facts import models
from shardwright.model.errors import ShardwrightError
from shardwright.model.layout import Layout
from shardwright.rehearse.shrink import shrink


def small_of(model_id, planned, rehearsed):
    return shrink(
        models.load(model_id).config,
        Layout(tensor_parallel=planned[0], pipeline_parallel=planned[1]),
        Layout(tensor_parallel=rehearsed[0], pipeline_parallel=rehearsed[1]),
        split_layers,
    )


HEADS = [
    # model, planned, rehearsed, (heads, kv_heads) of the small model
    # 128/8 heads on TP=8: 16 query heads and 1 KV head a rank; two ranks of that
    ("meta-llama/Llama-3.1-405B", (8, 2), (2, 2), (32, 2)),
    # 64/8 on TP=8: 8 and 1 a rank
    ("meta-llama/Llama-3.1-70B", (8, 1), (2, 1), (16, 2)),
    # 64/8 on TP=2: 4 KV heads a rank shrink to 2, groups of 8
    ("meta-llama/Llama-3.1-70B", (2, 1), (2, 1), (32, 4)),
    # 32/4 on TP=8: each KV head on two ranks; one KV head for both ranks, groups of 8
    ("Qwen/Qwen3-30B-A3B", (8, 1), (2, 1), (8, 1)),
    # 32/4 on TP=4: one KV head a rank, not replicated
    ("Qwen/Qwen3-30B-A3B", (4, 1), (2, 1), (16, 2)),
]


@pytest.mark.parametrize(("model_id", "planned", "rehearsed", "heads"), HEADS)
def test_heads_per_rank_and_replication_are_those_of_the_plan(model_id, planned, rehearsed, heads):
    small = small_of(model_id, planned, rehearsed).shape
    assert (small.num_attention_heads, small.num_kv_heads) == heads


def test_a_split_that_leaves_a_remainder_leaves_one_in_the_small_model():
    # 126 layers over 4 stages are 31, 32, 32, 31
    assert small_of("meta-llama/Llama-3.1-405B", (8, 4), (1, 4)).layers == (2, 3, 3, 2)
    assert small_of("meta-llama/Llama-3.1-405B", (8, 2), (2, 2)).layers == (2, 2)


def test_every_kind_of_layer_is_kept():
    # Gemma 3 looks at everything in every sixth layer only
    small = small_of("google/gemma-3-1b-it", (1, 2), (1, 2))
    assert small.shape.num_layers == 6
    assert set(small.shape.attention_kinds) == {
        kind for kind in small.shape.attention_kinds if kind.value in ("sliding", "full")
    }
    assert len(set(small.shape.attention_kinds)) == 2


def test_vocabulary_is_padded_where_the_published_one_is():
    # 32,000 = 500 x 64; 151,936 = 2,374 x 64; 262,208 = 4,097 x 64; 49,155 = 768 x 64 + 3
    assert small_of("meta-llama/Llama-2-13b-hf", (2, 1), (2, 1)).shape.vocab_size == 512
    granite = models.load("ibm-granite/granite-3.1-8b-instruct").config
    assert granite["vocab_size"] % 64 == 3
    small = small_of("ibm-granite/granite-3.1-8b-instruct", (2, 1), (2, 1))
    assert small.shape.vocab_size == 515


def test_a_quantized_checkpoint_becomes_bfloat16_and_says_so():
    small = small_of("meta-llama/Llama-3.1-405B-Instruct-FP8", (8, 2), (2, 2))
    assert small.config["quantization_config"] is None
    told = {n.field: n.why for n in small.narrowed}
    assert "bfloat16" in told["quantization_config"]


def test_ties_are_kept():
    assert small_of("google/gemma-3-1b-it", (1, 1), (1, 1)).shape.tie_word_embeddings
    assert not small_of("meta-llama/Llama-3.1-405B", (8, 2), (2, 2)).shape.tie_word_embeddings


def test_experts_stay_more_than_a_token_visits():
    small = small_of("Qwen/Qwen3-30B-A3B", (4, 1), (2, 1)).shape
    assert small.num_experts == 16
    assert small.experts_per_token == 8


def test_heads_that_cannot_be_divided_are_the_users_error():
    with pytest.raises(ShardwrightError) as caught:
        small_of("meta-llama/Llama-3.1-405B", (7, 1), (2, 1))
    assert caught.value.code == "heads-not-divisible"


def test_a_language_model_is_taken_out_of_a_model_with_a_vision_tower():
    small = small_of("google/gemma-3-27b-it", (8, 2), (2, 2))
    assert small.config["architectures"] == ["Gemma3ForCausalLM"]
    assert "vision_config" not in small.config
    assert "vision tower" in {n.field: n.why for n in small.narrowed}["architectures"]


UNKNOWN = {
    "architectures": ["BrandNewForCausalLM"], "model_type": "brand_new", "hidden_size": 512,
    "num_attention_heads": 8, "num_hidden_layers": 4, "vocab_size": 1000, "intermediate_size": 2048,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        (UNKNOWN, "which tensors"),
        (models.load("Qwen/Qwen3.5-27B").config, "another tower"),
    ],
)
def test_what_could_only_be_guessed_is_refused(config, cause):
    one = Layout(tensor_parallel=2, pipeline_parallel=2)
    with pytest.raises(ShardwrightError) as caught:
        shrink(config, one, one, split_layers)
    assert caught.value.code == "architecture-not-rehearsed"
    assert cause in caught.value.cause
