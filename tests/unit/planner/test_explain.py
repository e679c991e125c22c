"""What a plan says of itself: the numbers that decided it, and what would change them."""

from dataclasses import replace
from pathlib import Path

from shardwright.model.origin import Origin
from shardwright.model.plan import RankMemory
from shardwright.planner.changes import changes
from shardwright.planner.explain import explain
from shardwright.planner.fit import least_layout
from shardwright.planner.plan import make_plan
from shardwright.shape import load
from shardwright.spec.load import load as load_spec

EXAMPLES = Path(__file__).parents[3] / "examples"


def planned(name, **cluster):
    path = EXAMPLES / name
    request = load_spec(path.read_text(), str(path)).request
    request = replace(request, cluster=replace(request.cluster, **cluster))
    shape = load(request.model.id)
    return request, shape, make_plan(request, shape)


def told(name, **cluster):
    request, shape, plan = planned(name, **cluster)
    return explain(request, shape, plan, changes(request, shape, plan))


def test_a_405b_in_bf16_on_two_nodes_of_h100_says_why_not_one():
    text = told("llama-3.1-405b-bf16-h100.yaml")
    assert "TP=8 PP=2, 16 GPUs on 2 nodes" in text
    # 405.85e9 x 2 bytes over 16 ranks = 47.25 GiB, and the rotary table
    assert "weights   47.3 GiB of the 72.9 GiB" in text
    assert "TP=8 PP=1 is" in text
    assert "short of one request" in text


def test_the_pinned_405b_in_fp8_says_that_one_node_is_enough():
    assert "TP=8 PP=1 fits as well, on half the GPUs" in told("llama-3.1-405b.yaml")


def test_what_does_not_fit_says_so_and_names_the_least_that_does():
    text = told("llama-3.1-70b.yaml", gpu="L40S", gpus_per_node=8)
    assert "does NOT fit" not in text
    request, shape, plan = planned("llama-3.1-405b-bf16-h100.yaml", nodes=1)
    assert not plan.fits
    text = explain(request, shape, plan, changes(request, shape, plan))
    assert "does NOT fit" in text
    assert "TP=8 PP=2 (16 GPUs) is the least that fits" in text
    assert "KV cache  none: " in text
    assert "requests will wait" not in text


def test_the_first_line_says_that_the_objective_is_missed():
    path = EXAMPLES / "llama-3.1-70b.yaml"
    request = load_spec(path.read_text(), str(path)).request
    request = replace(request, slo=replace(request.slo, itl_s=0.001))  # 1 ms a token
    shape = load(request.model.id)
    first = explain(request, shape, make_plan(request, shape)).splitlines()[0]
    assert first.endswith(": fits, and misses the objective")
    assert "objective" not in told("llama-3.1-70b.yaml").splitlines()[0]


def test_the_least_layout_is_the_smallest_that_serves_one_full_request():
    request, shape, _ = planned("llama-3.1-70b.yaml")
    layout, answer = least_layout(request, shape, 8192)
    # 131.4 GiB on one GPU of 72.9 GiB is too much; over two 7.1 GiB are left for all the rest
    assert (layout.tensor_parallel, layout.pipeline_parallel) == (2, 1)
    assert 8192 < answer.kv_tokens < 7.1 * 2**30 / 163_840


def test_bars_share_the_card_and_mark_what_runs_over():
    from shardwright.planner import explain as module

    rank = RankMemory(
        stage=0, total_bytes=100, budget_bytes=90, weights_bytes=50, activation_bytes=0,
        graphs_bytes=0, runtime_bytes=0, kv_cache_bytes=40, origin=Origin.MODELLED,
    )  # fmt: skip
    assert module._bar(rank, 48) == "W" * 24 + "K" * 19 + "." * 5
    over = replace(rank, weights_bytes=120, kv_cache_bytes=-30)
    assert module._bar(over, 48) == "W" * 47 + "!"


def test_a_narrow_terminal_gets_folded_lines_and_shorter_bars_of_the_same_words():
    request, shape, plan = planned("llama-3.1-405b.yaml")
    sentences = changes(request, shape, plan)
    wide = explain(request, shape, plan, sentences)
    narrow = explain(request, shape, plan, sentences, width=60)
    assert max(map(len, wide.splitlines())) > 100
    assert max(map(len, narrow.splitlines())) <= 60
    bars = [line for line in narrow.splitlines() if "[" in line]
    assert len(bars) == len(plan.stages)
    # 60 columns hold a bar of 60 - 24, both brackets whole
    assert all(line.index("]") - line.index("[") - 1 == 36 for line in bars)

    def words(text):
        return [word for word in text.split() if not word.startswith("[")]

    assert words(narrow) == words(wide)
    assert explain(request, shape, plan, sentences, width=300) == wide
