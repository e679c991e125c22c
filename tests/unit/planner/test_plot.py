"""The picture of a plan: well-formed, to scale, and never wider than the card."""

import io
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from shardwright.model.errors import ShardwrightError
from shardwright.model.layout import Layout, stages_of
from shardwright.model.origin import Origin
from shardwright.model.plan import Alternative, Basis, Plan, RankMemory, Speed
from shardwright.planner.picture import Rect, to_svg
from shardwright.planner.plot import picture_of, plot_html
from shardwright.planner.raster import to_png

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


def drawn(title, plan):
    return to_svg(picture_of(title, plan))


def shares(plan):
    """Widths of the coloured parts of the bar, as shares of the card."""
    root = ET.fromstring(drawn("t", plan))
    rects = list(root.iter(f"{SVG}rect"))
    whole = next(float(r.get("width")) for r in rects if r.get("class") == "b")
    bars = [r for r in rects if r.find(f"{SVG}title") is not None]
    return [float(r.get("width")) / whole for r in bars]


def test_bars_are_to_scale():
    assert shares(PLAN) == pytest.approx([0.5, 0.1, 0.05, 0.0, 0.25], abs=0.001)


def test_what_runs_over_is_cut_at_the_edge():
    over = replace(RANK, weights_bytes=120, kv_cache_bytes=-45)
    assert shares(replace(PLAN, memory=(over,))) == pytest.approx([1, 0, 0, 0, 0], abs=0.001)


def test_the_front_names_its_layouts_and_marks_the_plan_at_its_load():
    speed = Speed(
        ttft_s=0.5, ttft_percentile_s=0.5, itl_s=0.1, itl_percentile_s=0.1,
        output_tokens_per_s=800, output_tokens_per_s_per_gpu=100, is_saturated=False,
        origin=Origin.MODELLED, concurrency=8,
    )  # fmt: skip
    root = ET.fromstring(drawn("a <title> & more", replace(PLAN, basis=BASIS, speed=speed)))
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert {"TP=4 PP=1", "TP=8 PP=1", "this plan: TP=8 PP=1"} <= set(texts)
    assert len(list(root.iter(f"{SVG}circle"))) == 2 + 2  # two of the front, the plan and its ring
    assert root.get("aria-label") == "a <title> & more"


def test_a_page_holds_the_picture_and_the_words():
    page = plot_html("t", PLAN, "1 < 2")
    assert "<svg" in page
    assert "1 &lt; 2" in page


def test_a_png_is_twice_the_picture_and_shows_the_bars():
    from PIL import Image

    picture = picture_of("t", PLAN)
    image = Image.open(io.BytesIO(to_png(picture)))
    assert image.size == (2 * picture.width, 2 * picture.height)
    bar = next(s for s in picture.shapes if isinstance(s, Rect) and s.fill == "#3b6fb6")
    at = (round(2 * (bar.x + 4)), round(2 * (bar.y + 4)))
    assert image.getpixel(at) == (0x3B, 0x6F, 0xB6)


def test_without_pillow_a_png_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ShardwrightError) as caught:
        to_png(picture_of("t", PLAN))
    assert "shardwright[plot]" in caught.value.remedy
