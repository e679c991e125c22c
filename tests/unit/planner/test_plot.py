"""The picture of a plan: well-formed, to scale, and never wider than the card."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from shardwright.model.layout import Layout, stages_of
from shardwright.model.origin import Origin
from shardwright.model.plan import Alternative, Basis, Plan, RankMemory
from shardwright.planner.plot import plot_html, plot_svg

SVG = "{http://www.w3.org/2000/svg}"
RANK = RankMemory(
    stage=0, total_bytes=100, budget_bytes=90, weights_bytes=50, activation_bytes=10,
    graphs_bytes=0, runtime_bytes=5, kv_cache_bytes=25, origin=Origin.MODELLED,
)  # fmt: skip
LAYOUT = Layout(tensor_parallel=8)
BASIS = Basis(gpu="H100-SXM", engine="vllm")
PLAN = Plan(
    layout=LAYOUT,
    stages=stages_of((4,)),
    num_nodes=1,
    max_model_len=100,
    fits=True,
    memory=(RANK,),
    front=(
        Alternative(basis=BASIS, concurrency=8, layout=LAYOUT, ttft_s=0.5,
                    output_tokens_per_s_per_gpu=100.0, output_tokens_per_s_per_user=20.0),
        Alternative(basis=BASIS, concurrency=8, layout=Layout(tensor_parallel=4), ttft_s=0.7,
                    output_tokens_per_s_per_gpu=150.0, output_tokens_per_s_per_user=10.0),
    ),
)  # fmt: skip


def shares(plan):
    """Widths of the coloured parts of the bar, as shares of the card."""
    root = ET.fromstring(plot_svg("t", plan))
    whole = next(float(r.get("width")) for r in root.iter(f"{SVG}rect") if r.get("class") == "f")
    bars = [r for r in root.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    return [float(r.get("width")) / whole for r in bars]


def test_bars_are_to_scale():
    assert shares(PLAN) == pytest.approx([0.5, 0.1, 0.05, 0.0, 0.25], abs=0.001)


def test_what_runs_over_is_cut_at_the_edge():
    over = replace(RANK, weights_bytes=120, kv_cache_bytes=-45)
    assert shares(replace(PLAN, memory=(over,))) == pytest.approx([1, 0, 0, 0, 0], abs=0.001)


def test_the_front_marks_the_chosen_layout():
    root = ET.fromstring(plot_svg("a <title> & more", PLAN))
    assert [c.get("class") for c in root.iter(f"{SVG}circle")] == ["c", "x", "p"]
    assert root.get("aria-label") == "a <title> & more"


def test_a_page_holds_the_picture_and_the_words():
    page = plot_html("t", PLAN, "1 < 2")
    assert "<svg" in page
    assert "1 &lt; 2" in page
