"""Parameters from config.json alone against the counts of transformers and of the publishers."""

import csv

import pytest

from shardwright.facts.table import DATA
from shardwright.shape import load, read_config
from shardwright.shape.schemes import num_scales

MODELS = DATA / "models"

# Counts that differ, and by how much our shape exceeds the count it is compared with.
EXPLAINED = {
    "stepfun-ai/Step-3.7-Flash": (
        663_552,
        "counted with the class's default vocabulary of 128,815; the file says 128,896",
    ),
    "stepfun-ai/Step-3.7-Flash-FP8": (663_552, "as Step-3.7-Flash"),
    "XiaomiMiMo/MiMo-7B-Base": (
        -210_790_400,
        # a decoder layer of 177,223,680, a projection of 33,554,432, three norms of 4,096
        "no transformers count; the published one holds one prediction layer",
    ),
    "microsoft/Phi-3-small-8k-instruct": (
        -2_048,
        "no transformers count; the published one holds rotary inv_freq, 32 layers of 64",
    ),
    "moonshotai/Kimi-K3": (
        -82_432,
        "no transformers count; the published one holds 92 x 896 e_score_correction_bias",
    ),
    "MiniMaxAI/MiniMax-M3": (
        -865_574_528,
        # of which 57 x 128 e_score_correction_bias
        "no transformers count; the published one holds a vision tower this file does not describe",
    ),
}


def _rows():
    with (MODELS / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            count = row["params_by_transformers"] or row["total_params"]
            if row["file"] and count:
                yield pytest.param(row["model_id"], row["file"], int(count), id=row["model_id"])


@pytest.mark.parametrize(("model_id", "file", "count"), list(_rows()))
def test_parameters_are_exact_or_the_difference_is_explained(model_id, file, count):
    shape = read_config(MODELS / file, model_id)
    expected, _why = EXPLAINED.get(model_id, (0, ""))
    assert shape.num_params - count == expected


def test_every_bundled_architecture_is_known():
    unknown = {
        p.stem.replace("__", "/")
        for p in MODELS.glob("*.json")
        if any(f.code == "unknown-architecture" for f in read_config(p).findings)
    }
    assert unknown == set()


def _scales(shape):
    return sum(
        num_scales(t.scheme, t.rows, t.cols) * t.copies * (2 if t.scheme.has_input_scale else 1)
        for layer in (*shape.layers, *shape.mtp)
        for t in layer.tensors
        if t.scheme
    )


# published counts of scale tensors: checks.csv, from the Hugging Face API's safetensors totals
@pytest.mark.parametrize(
    ("name", "scales"),
    [
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", 15_237_120),
        ("Qwen/Qwen3-8B-FP8", 423_936),
        ("Qwen/Qwen3-32B-FP8", 1_904_640),
        ("Qwen/Qwen3-30B-A3B-FP8", 1_824_768),
        ("Qwen/Qwen3-235B-A22B-FP8", 14_269_952),
        ("RedHatAI/Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", 17_547_264),
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", 66_060_288),
        ("mistralai/Devstral-Small-2-24B-Instruct-2512", 560),
        ("deepseek-ai/DeepSeek-V3", 41_540_496),
        ("MiniMaxAI/MiniMax-M2.5", 13_880_064),
    ],
)
def test_scales_of_quantized_checkpoints_are_exact(name, scales):
    assert _scales(load(name)) == scales


# publishers' own figures, rounded as they give them (billions)
@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("deepseek-ai/DeepSeek-V3", 671, 37),
        ("Qwen/Qwen3-235B-A22B", 235, 22),
        ("Qwen/Qwen3-30B-A3B", 30.5, 3.3),
        ("mistralai/Mixtral-8x7B-v0.1", 46.7, 12.9),
        ("moonshotai/Kimi-K2-Instruct", 1026, 32),
    ],
)
def test_active_parameters_are_as_published(name, total, active):
    shape = load(name)
    assert shape.num_params / 1e9 == pytest.approx(total, rel=0.01)
    assert shape.num_active_params / 1e9 == pytest.approx(active, rel=0.05)


def test_prediction_layers_complete_the_published_count_of_deepseek_v3():
    shape = load("deepseek-ai/DeepSeek-V3")
    buffers = sum(
        t.num_elements for x in (*shape.layers, *shape.mtp) for t in x.tensors if t.is_buffer
    )
    stored = shape.num_params + sum(x.num_params for x in shape.mtp) + buffers + _scales(shape)
    assert stored == 684_531_386_000
