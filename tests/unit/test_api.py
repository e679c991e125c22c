"""The package as a library: what `shardwright` exports, and what its functions take."""

import subprocess
import sys
from pathlib import Path

import pytest

import shardwright
from shardwright import plan, predict_latency, predict_memory
from shardwright.spec.load import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "llama-3.1-405b-bf16-h100.yaml"
SPEC = {
    "model": {"id": "meta-llama/Llama-3.1-405B"},
    "cluster": {"gpu": "H100-SXM", "gpusPerNode": 8, "nodes": 2, "fabric": "infiniband-400g"},
    "workload": {"inputTokens": 2048, "outputTokens": 256, "concurrency": 16},
    "slo": {"ttftMs": 4000, "itlMs": 80},
}


def test_everything_exported_is_there_and_documented():
    for name in shardwright.__all__:
        value = getattr(shardwright, name)
        assert name == "__version__" or value.__doc__
    assert set(shardwright.__all__) <= set(dir(shardwright))
    assert sorted(shardwright.__all__) == shardwright.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = shardwright.nothing


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, shardwright; print({'numpy', 'pydantic', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_plan_is_the_same_from_a_path_a_mapping_and_a_request():
    by_path = plan(EXAMPLE)
    assert str(by_path.layout) == "TP=8 PP=2"
    request = load(EXAMPLE.read_text(), "s").request
    assert plan(request) == plan(str(EXAMPLE)) == by_path == plan(SPEC)
    assert plan({"spec": SPEC, "metadata": {"name": "x"}}).layout == by_path.layout


def test_a_mapping_is_as_strict_as_a_file():
    with pytest.raises(shardwright.ShardwrightError) as caught:
        plan({**SPEC, "modle": {}})
    assert "modle" in str(caught.value.details)


def test_a_plan_may_choose_among_gpus_at_the_users_prices():
    found = plan(SPEC, gpus=["H100-SXM", "H200-SXM"],
                 usd_per_gpu_hour={"H100-SXM": 2.0, "H200-SXM": 8.0})  # fmt: skip
    assert found.basis.gpu == "H100-SXM"
    assert found.cost.usd_per_hour == 32.0  # 16 GPUs at 2 dollars


def test_predictions_take_the_columns_of_the_tables():
    memory = predict_memory("meta-llama/Llama-3.1-8B", "H100", max_model_len=8192)
    assert memory.fits
    latency = predict_latency(
        "meta-llama/Llama-3.1-8B", "H100", isl=512, osl=64, concurrency=4, tp=2
    )
    assert latency.ttft_s > 0
