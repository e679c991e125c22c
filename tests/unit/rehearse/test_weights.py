import numpy as np

from shardwright.engines.vllm import split_layers
from shardwright.facts import models
from shardwright.model.layout import Layout
from shardwright.rehearse.shrink import shrink
from shardwright.rehearse.weights import Fill, Stored, tensors, values


def names_of(model_id):
    one = Layout(tensor_parallel=2, pipeline_parallel=2)
    small = shrink(models.load(model_id).config, one, one, split_layers)
    return [t.name for t in tensors(small.shape)]


def test_names_are_those_of_published_checkpoints():
    # model.safetensors.index.json of meta-llama/Llama-3.1-8B
    names = names_of("meta-llama/Llama-3.1-8B")
    assert names[0] == "model.embed_tokens.weight"
    assert "model.layers.3.self_attn.q_proj.weight" in names
    assert "model.layers.0.post_attention_layernorm.weight" in names
    assert names[-2:] == ["model.norm.weight", "lm_head.weight"]


def test_each_expert_is_stored_by_its_number():
    assert "model.layers.0.mlp.experts.15.down_proj.weight" in names_of("Qwen/Qwen3-30B-A3B")
    mixtral = names_of("mistralai/Mixtral-8x7B-v0.1")
    assert "model.layers.0.block_sparse_moe.experts.7.w2.weight" in mixtral


def test_gpt_oss_stacks_its_experts_inputs_first():
    # as openai/gpt-oss checkpoints in bfloat16 have them: (experts, inputs, 2 x inner)
    one = Layout(tensor_parallel=2, pipeline_parallel=2)
    small = shrink(models.load("openai/gpt-oss-20b").config, one, one, split_layers)
    shapes = {t.name: t.shape for t in tensors(small.shape)}
    assert shapes["model.layers.0.mlp.experts.gate_up_proj"] == (8, 256, 512)
    assert shapes["model.layers.0.mlp.experts.gate_up_proj_bias"] == (8, 512)
    assert shapes["model.layers.0.mlp.experts.down_proj"] == (8, 256, 256)
    assert not [name for name in shapes if ".up_proj" in name]


def test_values_depend_on_the_seed_and_the_name_only():
    stored = Stored(name="a.weight", shape=(64, 64), fan_in=64, fill=Fill.LINEAR)
    other = Stored(name="b.weight", shape=(64, 64), fan_in=64, fill=Fill.LINEAR)
    assert np.array_equal(values(stored, 0), values(stored, 0))
    assert not np.array_equal(values(stored, 0), values(stored, 1))
    assert not np.array_equal(values(stored, 0), values(other, 0))


def test_the_same_bytes_everywhere():
    # numpy keeps the words of a bit generator for ever (NEP 19); the first two of this seed are
    # 0x2bdd2df4, 0x9707498b: 1 + 0.1732 x (word / 2^31 - 1) = 0.88614, 1.03117
    stored = Stored(name="x.weight", shape=(4,), fan_in=1, fill=Fill.NORM)
    words = [hex(w) for w in values(stored, 0)]
    assert words[:2] == ["0x3f63", "0x3f84"]  # 0.88672 and 1.03125, the nearest bfloat16


def test_a_linear_layer_keeps_the_size_of_what_passes_through():
    stored = Stored(name="w", shape=(256, 256), fan_in=256, fill=Fill.LINEAR)
    as_float = (values(stored, 0).astype(np.uint32) << 16).view(np.float32)
    # variance 1/256 for a fan-in of 256
    assert abs(float(as_float.std()) * 16 - 1) < 0.02
