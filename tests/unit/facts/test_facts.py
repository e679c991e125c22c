"""Shipped facts: every row has a source, every alias one meaning."""

import csv

import pytest

from shardwright.facts import aliases, gpus, models, nodes, table
from shardwright.model.errors import ShardwrightError
from shardwright.model.origin import Origin


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h100_sxm", "H100-SXM"),
        ("H100-SXM", "H100-SXM"),
        ("H100-80GB", "H100-SXM"),
        ("h200_sxm", "H200-SXM"),
        ("B200", "B200-SXM"),
        ("a100-pcie-80gb", "A100-80GB-PCIe"),
        ("NVIDIA-H100-80GB-HBM3", "H100-SXM"),
        ("l40s", "L40S"),
        ("mi300x", "MI300X"),
    ],
)
def test_a_gpu_answers_to_its_names(name, expected):
    assert gpus.gpu(name).id == expected


def test_memory_is_what_the_driver_reports_not_the_box():
    h100 = gpus.gpu("H100-80GB")
    assert h100.memory_bytes / 2**30 == pytest.approx(79.19, abs=0.005)
    assert h100.memory_origin is Origin.MEASURED
    assert gpus.gpu("L4").memory_origin is Origin.ASSUMED


def test_a_figure_in_parentheses_is_the_total():
    assert gpus.gpu("H100-80GB(79.11GiB)").memory_bytes == round(79.11 * 2**30)


def test_an_unknown_gpu_names_the_nearest():
    with pytest.raises(ShardwrightError, match="unknown-gpu") as caught:
        gpus.gpu("H10-SXM")
    assert "H100-SXM" in caught.value.remedy


def test_aliases_have_one_meaning_each():
    for kind in ("gpu", "engine", "dtype", "model-org"):
        assert aliases.aliases(kind)
    assert set(aliases.aliases("gpu").values()) <= {
        r["id"] for r in table.rows("gpus.csv", "spec_source")
    }


def test_models_that_share_a_shape_have_the_same_published_count():
    counts = {r["model_id"]: r["total_params"] for r in table.rows("models/index.csv", "retrieved")}
    # GLM-4.6 leaves out GLM-4.5's copies of embedding and head; V3.2-Exp counts its scales
    explained = {
        ("zai-org/GLM-4.6", "zai-org/GLM-4.5"): 2 * 151_552 * 5_120,
        ("deepseek-ai/DeepSeek-V3.2-Exp", "deepseek-ai/DeepSeek-V3.2"): -41_591_584,
    }
    with (table.DATA / "aliases.csv").open(newline="") as file:
        pairs = [(r["alias"], r["name"]) for r in csv.DictReader(file) if r["kind"] == "model"]
    for alias, name in pairs:
        if alias in counts:
            gap = int(counts[name]) - int(counts[alias])
            assert gap == explained.get((alias, name), 0), alias


def test_a_row_without_source_is_refused(tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("name,source,retrieved\na,,2026-01-01\n")
    monkeypatch.setattr(table, "DATA", tmp_path)
    with pytest.raises(ValueError, match=r"x\.csv:2"):
        table.rows("x.csv")


def test_priced_machines_come_cheapest_first():
    found = nodes.with_gpu("H100-SXM")
    prices = [n.price_usd_per_hour / n.gpus for n in found if n.price_usd_per_hour]
    assert prices == sorted(prices)
    assert prices


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("LLAMA-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("zhipuai/GLM-4.5", "zai-org/GLM-4.5"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "meta-llama/Llama-3.3-70B-Instruct"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "Qwen/Qwen2.5-7B"),
        ("someone/else", None),
    ],
)
def test_models_are_found_by_their_other_names(name, found):
    assert models.find(name) == found


def test_every_indexed_file_is_there_with_its_provenance():
    for row in models.index().values():
        assert (table.DATA / "models" / row["file"]).is_file()
        assert row["config_provenance"]
        assert row["config_source"]
