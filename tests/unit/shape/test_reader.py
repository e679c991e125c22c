"""Reading a config.json: what is refused, what is estimated, and what names stand for."""

import json

import pytest

from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.origin import Origin
from shardwright.model.shape import AttentionKind, MlpKind
from shardwright.shape import load, read_config

TINY = {
    "architectures": ["NovelForCausalLM"],
    "model_type": "novel",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}


def test_an_unknown_architecture_is_estimated_and_says_so():
    shape = read_config(TINY)
    assert shape.origin is Origin.ASSUMED
    assert [f.code for f in shape.findings] == ["unknown-architecture"]
    # by hand: q 64x64, k and v 32x64, o 64x64, three of 128x64, two norms; embedding, head, norm
    layer = 64 * 64 * 2 + 2 * 32 * 64 + 3 * 128 * 64 + 2 * 64
    assert shape.num_params == 2 * layer + 2 * 100 * 64 + 64


def test_an_unknown_mixture_counts_its_experts():
    shape = read_config({**TINY, "num_experts": 8, "num_experts_per_tok": 2})
    assert (shape.num_experts, shape.experts_per_token) == (8, 2)
    assert set(shape.mlp_kinds) == {MlpKind.MOE}


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"hello": 1}, "config-not-a-model"),
        ({"model_type": "llama", "hidden_size": 64}, "config-field"),
        ({**TINY, "vocab_size": "many"}, "config-field"),
        ({**TINY, "quantization_config": {"quant_method": "quip"}}, "unknown-quantization"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_its_reason(config, code):
    with pytest.raises(ShardwrightError) as caught:
        read_config(config)
    assert caught.value.code == code
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.remedy


def test_a_path_may_be_the_file_or_its_directory(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    one, other = read_config(tmp_path), read_config(str(tmp_path / "config.json"))
    assert (one.layers, one.last, one.findings) == (other.layers, other.last, other.findings)
    with pytest.raises(ShardwrightError, match="config-unreadable"):
        read_config(tmp_path / "absent.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ShardwrightError, match="config-not-json"):
        read_config(tmp_path)


def test_layers_say_what_they_are():
    gpt_oss = load("openai/gpt-oss-20b")
    assert gpt_oss.attention_kinds[:2] == (AttentionKind.SLIDING, AttentionKind.FULL)
    assert gpt_oss.layers[0].cache.window == 128
    v3 = load("deepseek-ai/DeepSeek-V3")
    assert [k.value for k in v3.mlp_kinds[:4]] == ["dense", "dense", "dense", "moe"]
    assert v3.layers[0].cache.key_dim == 576
    scout = load("meta-llama/Llama-4-Scout-17B-16E-Instruct")
    assert [k.value for k in scout.attention_kinds[:4]] == ["chunked"] * 3 + ["full"]
    assert scout.is_multimodal


def test_unquantized_parts_stay_unquantized():
    shape = load("meta-llama/Llama-3.1-405B-Instruct-FP8")
    schemes = [[t.name for t in x.tensors if t.scheme] for x in shape.layers]
    assert schemes[0] == schemes[125] == []
    assert schemes[1] == ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def test_a_quantization_only_the_name_tells_is_a_finding():
    shape = load("Qwen/Qwen3-14B-FP8")
    assert shape.quantization.scheme.weight_bits == 8
    assert [f.code for f in shape.findings] == ["quantization-from-name"]


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ShardwrightError) as caught:
        load("meta-llama/Lama-3.1-70B")
    assert "meta-llama/Llama-3.1-70B" in caught.value.remedy


def test_equal_layers_are_one_object_so_sums_are_done_once_per_kind():
    kinds = {name: len({id(x) for x in load(name).layers}) for name in (
        "meta-llama/Llama-3.1-405B", "deepseek-ai/DeepSeek-V3", "google/gemma-3-27b-it",
    )}  # fmt: skip
    assert kinds == {
        "meta-llama/Llama-3.1-405B": 1,
        "deepseek-ai/DeepSeek-V3": 2,
        "google/gemma-3-27b-it": 2,
    }
