"""Memory per rank and what it leaves, against measured starts and properties any plan must have."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardwright import predict_memory
from shardwright.facts.gpus import gpu
from shardwright.model.errors import ShardwrightError
from shardwright.model.layout import Layout, stages_of
from shardwright.model.origin import Origin
from shardwright.planner.memory import predict
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.shape import load

GIB = 2**30


def asked(name, gpu_name="H100-SXM", tp=1, per_stage=None, **more):
    shape = load(name)
    stages = stages_of(per_stage or (shape.num_layers,))
    return MemoryQuestion(
        shape=shape,
        layout=Layout(tensor_parallel=tp, pipeline_parallel=len(stages)),
        stages=stages,
        gpu=gpu(gpu_name),
        **more,
    )


# "Available KV cache memory" and peak activation as logged; none of these starts a separate fit
@pytest.mark.parametrize(
    ("model", "version", "tp", "utilization", "activation_gib", "kv_gib"),
    [
        ("microsoft/phi-4", "0.19.0", 1, 0.95, 1.52, 46.08),
        ("Qwen/Qwen3-8B", "0.19.0", 1, 0.95, 2.21, 57.50),
        ("moonshotai/Kimi-Dev-72B", "0.19.0", 2, 0.95, 2.29, 3.02),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "0.19.0", 2, 0.95, 1.21, 28.44),
        ("openai/gpt-oss-20b", "0.11.0", 1, 0.9, 7.38, 50.27),
    ],
)
def test_an_h100_is_shared_as_the_engine_logged(
    model, version, tp, utilization, activation_gib, kv_gib
):
    answer = predict_memory(
        model, "H100-80GB", engine_version=version, tp=tp, gpu_memory_utilization=utilization
    )
    rank = answer.ranks[0]
    assert rank.activation_bytes / GIB == pytest.approx(activation_gib, abs=0.05)
    assert rank.kv_cache_bytes / GIB == pytest.approx(kv_gib, abs=0.1)


def test_a_70b_in_bf16_does_not_fit_one_h200_at_the_default_but_serves_short_prompts_at_097():
    common = {"engine_version": "0.25.1", "gpu_memory_utilization": 0.97}
    name = "meta-llama/Llama-3.1-70B"
    default = predict_memory(name, "H200", max_model_len=8192, engine_version="0.25.1")
    assert not default.fits
    assert default.ranks[0].kv_cache_bytes / GIB == pytest.approx(-5.26, abs=0.05)
    assert not predict_memory(name, "H200", max_model_len=8192, **common).fits
    assert predict_memory(name, "H200", max_model_len=4096, **common).fits


def test_405b_in_bf16_fits_8_h200_and_not_8_h100():
    name = "meta-llama/Llama-3.1-405B"
    h200 = predict_memory(name, "H200", tp=8, max_model_len=8192)
    assert h200.fits
    assert h200.ranks[0].weights_bytes / GIB == pytest.approx(94.5, abs=0.3)
    assert not predict_memory(name, "H100", tp=8, max_model_len=8192).fits


def test_the_shortfall_is_what_one_full_request_lacks():
    answer = predict_memory(
        "meta-llama/Llama-3.1-70B", "H200", max_model_len=8192,
        engine_version="0.25.1", gpu_memory_utilization=0.97,
    )  # fmt: skip
    # the engine said: 2.5 GiB needed (8192 x 327,680 bytes), and left less than that
    lacking = 8192 * 327_680 - answer.ranks[0].kv_cache_bytes
    assert answer.shortfall_bytes == lacking > 0


def test_only_the_last_stage_samples():
    answer = predict(
        asked("meta-llama/Llama-3.1-8B-Instruct", per_stage=(16, 16), version="0.19.0")
    )
    first, last = answer.ranks
    assert first.activation_bytes / GIB == pytest.approx(1.10, abs=0.01)
    assert last.activation_bytes > first.activation_bytes
    assert answer.tightest is last


def test_engines_share_weights_and_differ_in_the_rest():
    ranks = {
        engine: predict(asked("meta-llama/Llama-3.1-8B", engine=engine)).ranks[0]
        for engine in ("vllm", "sglang", "trtllm")
    }
    assert len({r.weights_bytes for r in ranks.values()}) == 1
    assert ranks["sglang"].origin is ranks["trtllm"].origin is Origin.ASSUMED
    for rank in ranks.values():
        assert 40 * GIB < rank.kv_cache_bytes < 62 * GIB


def test_an_engine_without_a_rule_is_refused():
    with pytest.raises(ShardwrightError, match="unknown-engine"):
        predict(asked("meta-llama/Llama-3.1-8B", engine="lmdeploy"))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["meta-llama/Llama-3.1-70B", "Qwen/Qwen3-30B-A3B", "google/gemma-3-27b-it"]),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(min_value=20, max_value=280),
    st.integers(min_value=0, max_value=40),
)
def test_more_memory_never_fits_less(name, tp, total_gib, more_gib):
    small = asked(name, tp=tp)
    small = replace(small, gpu=replace(small.gpu, memory_bytes=total_gib * GIB))
    # the engine's defaults change with the size of the card: hold them
    small = replace(small, max_num_batched_tokens=8192, max_num_seqs=256)
    large = replace(small, gpu=replace(small.gpu, memory_bytes=(total_gib + more_gib) * GIB))
    assert predict(large).kv_tokens >= predict(small).kv_tokens
    assert predict(large).shortfall_bytes <= predict(small).shortfall_bytes
