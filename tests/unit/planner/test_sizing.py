"""The sizing guide against the sums every operator can redo, and the two that guides get wrong."""

import pytest

from shardwright.facts.gpus import gpu
from shardwright.facts.recovery import recovery
from shardwright.model.units import GIB
from shardwright.planner.sizing import Service, guide, render, size
from shardwright.shape import load
from shardwright.shape.quantization import requantized

SERVICE = Service(engine="vllm", version="0.25.1")


def sized(name, gpu_name, scheme="bf16", **service):
    shape = requantized(load(name), scheme)
    return size(shape, gpu(gpu_name), scheme, Service(engine="vllm", version="0.25.1", **service))


def test_a_70b_in_bf16_does_not_fit_one_h200_though_140_gb_are_less_than_141():
    row = sized("meta-llama/Llama-3.1-70B", "H200")
    assert row.layout.tensor_parallel == 2
    # measured: 131.45 GiB of weights, KV cache memory -5.26 GiB at 0.92
    assert (
        row.short == "TP=1 PP=1: weights 131.4 GiB of 128.6 GiB usable; with all else 5.3 GiB over"
    )


def test_a_70b_in_fp8_fits_one_h200():
    assert sized("meta-llama/Llama-3.1-70B", "H200", "fp8").layout.num_gpus == 1


@pytest.mark.parametrize(
    ("gpu_name", "scheme", "gpus"), [("H200", "bf16", 8), ("H100", "bf16", 16), ("H100", "fp8", 8)]
)
def test_405b_needs_one_node_of_h200_two_of_h100_one_in_fp8(gpu_name, scheme, gpus):
    row = sized("meta-llama/Llama-3.1-405B", gpu_name, scheme)
    assert row.layout.num_gpus == gpus
    expected = 405.85e9 * (2 if scheme == "bf16" else 1)
    assert row.weight_bytes == pytest.approx(expected, rel=0.02)


def test_fp4_is_offered_only_where_the_gpu_has_it():
    shape = load("meta-llama/Llama-3.1-8B")
    rows = guide([shape], [gpu("H100"), gpu("B200")], ("bf16", "fp8", "nvfp4"), SERVICE)
    assert [(r.gpu, r.scheme) for r in rows] == [
        ("H100-SXM", "bf16"), ("H100-SXM", "fp8"),
        ("B200-SXM", "bf16"), ("B200-SXM", "fp8"), ("B200-SXM", "nvfp4"),
    ]  # fmt: skip


def test_a_quantized_checkpoint_is_sized_as_published():
    rows = list(guide([load("deepseek-ai/DeepSeek-V3")], [gpu("H200")], ("bf16",), SERVICE))
    assert [r.scheme for r in rows] == ["as published"]
    assert rows[0].layout.num_gpus == 8


def test_what_nothing_serves_says_why():
    row = sized("moonshotai/Kimi-K2-Instruct", "L4", gpus_per_node=1)
    assert row.layout is None
    assert "over" in row.short
    assert "none up to 16 nodes" in render([row])


def test_accuracy_is_published_for_that_model_or_unknown():
    found = recovery("meta-llama/Meta-Llama-3-70B-Instruct", "int8")
    assert found.share == pytest.approx(77.90 / 79.18)
    assert found.published
    assert sized("meta-llama/Llama-3.1-405B", "H100", "fp8").recovery == "unknown"
    assert sized("meta-llama/Llama-3.1-405B", "H200").recovery == ""


def test_the_table_lines_up():
    rows = list(guide([load("Qwen/Qwen3-8B")], [gpu("H100")], ("bf16", "fp8"), SERVICE))
    head, first, _ = render(rows).splitlines()
    assert first.index("H100-SXM") == head.index("GPU")
    assert f"{rows[0].weight_bytes / GIB:,.0f}" in first


def test_on_a_narrow_terminal_models_are_headings_and_sentences_stand_below_their_row():
    shapes = [load("meta-llama/Llama-3.1-8B"), load("meta-llama/Llama-3.1-70B")]
    rows = list(guide(shapes, [gpu("H100")], ("bf16", "fp8"), SERVICE))
    lines = render(rows, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.startswith("Llama")] == [
        "Llama-3.1-8B", "Llama-3.1-70B",
    ]  # fmt: skip
    at = lines.index("Llama-3.1-70B")
    assert lines[at + 1].split()[:6] == ["bf16", "131", "H100-SXM", "2", "TP=2", "PP=1"]
    assert lines[at + 2].startswith("    why not fewer: TP=1 PP=1: weights 131.4 GiB of ")
    # as many words as the wide table has, whose columns are the same
    assert render(rows, 500) == render(rows)
    assert set(render(rows).split()) - set(render(rows, 80).split()) <= {"model", "accuracy"} | {
        "unknown", "why", "not", "fewer",
    }  # fmt: skip
