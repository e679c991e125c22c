"""The search against what an expert knows: links decide TP against PP, every no has a reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from shardwright import shape
from shardwright.model.layout import Layout
from shardwright.model.request import Fabric, FabricKind, Parallelism, Slo, Workload
from shardwright.planner.bases import Allowed, ask_of
from shardwright.planner.objective import Objective
from shardwright.planner.plan import Question, alternatives, choose, make_plan
from shardwright.planner.prices import Prices
from shardwright.planner.search import search
from shardwright.planner.serving_speed import setup_for
from shardwright.spec.load import load

EXAMPLE = Path(__file__).parents[3] / "examples" / "llama-3.1-405b-bf16-h100.yaml"
REQUEST = load(EXAMPLE.read_text(), "s").request
NO_SLO = Slo(ttft_s=None, itl_s=None, percentile=95.0)


def request(model="meta-llama/Llama-3.1-405B", slo=NO_SLO, nodes=2, fabric=None, **workload):
    load_ = Workload(**{"input_tokens": 2048, "output_tokens": 256, "concurrency": 16, **workload})
    cluster = replace(REQUEST.cluster, nodes=nodes)
    if fabric:
        cluster = replace(cluster, fabric=fabric)
    return replace(
        REQUEST,
        model=replace(REQUEST.model, id=model),
        cluster=cluster,
        parallelism=Parallelism(),
        slo=slo,
        workload=load_,
    )


def find(asked, objective=Objective.COST):
    return search([ask_of(asked, shape.load(asked.model.id), Prices())], objective)


def test_405b_in_16_bits_needs_two_nodes_and_stages_beat_cross_node_tensor_parallel():
    found = find(request())
    assert str(found.chosen.layout) == "TP=8 PP=2"
    reasons = {(r.layout.tensor_parallel, r.layout.pipeline_parallel): r for r in found.rejected}
    assert reasons[8, 1].code == "does-not-fit"
    assert "GiB" in reasons[8, 1].reason
    assert reasons[16, 1].code in {"slower", "dominated", "itl-missed", "ttft-missed"}


def test_slow_ethernet_makes_cross_node_tensor_parallel_far_worse():
    ethernet = Fabric(kind=FabricKind.ETHERNET, bits_per_s=25 * 10**9)
    asked = request(fabric=ethernet)
    found = find(asked)
    [wide] = [
        r for r in found.rejected
        if (r.layout.tensor_parallel, r.layout.pipeline_parallel) == (16, 1)
    ]  # fmt: skip
    assert wide.code in {"slower", "dominated", "itl-missed", "ttft-missed"}
    assert found.chosen.layout.pipeline_parallel == 2


def test_without_an_objective_the_fewest_gpus_that_hold_the_load():
    found = find(request(model="meta-llama/Llama-3.1-8B"))
    assert found.chosen.layout.num_gpus == 1


def test_a_tight_objective_buys_more_gpus_and_says_what_fewer_would_miss():
    loose = find(request(model="meta-llama/Llama-3.1-70B", slo=Slo(ttft_s=3.0, itl_s=0.2)))
    tight = find(request(model="meta-llama/Llama-3.1-70B", slo=Slo(ttft_s=3.0, itl_s=0.08)))
    assert tight.meets_slo
    assert tight.chosen.layout.num_gpus >= loose.chosen.layout.num_gpus
    assert tight.speed.itl_percentile_s <= 0.08


def test_an_impossible_objective_gives_the_nearest_layout_and_says_so():
    asked = request(slo=Slo(ttft_s=0.001, itl_s=0.001))
    made = make_plan(asked, shape.load(asked.model.id))
    assert "objective-missed" in {f.code for f in made.findings}


def test_too_much_load_is_saturated_or_replicated():
    found = find(request(model="meta-llama/Llama-3.1-70B", concurrency=None, requests_per_s=500.0))
    saturated = {r.code for r in found.rejected}
    assert "saturated" in saturated or found.speed.is_saturated


def test_where_none_serves_the_load_the_one_that_serves_most_is_chosen():
    asked = request("meta-llama/Llama-3.3-70B-Instruct", Slo(itl_s=0.08), nodes=1, concurrency=4000)
    found = find(asked)
    assert found.speed.is_saturated
    # two copies over two GPUs each hold the weights and little else; one over all four has the
    # room of both and that of the second copy's weights
    rates = [r.reason for r in found.rejected if r.code == "saturated"]
    assert found.chosen.layout.gpus_per_replica > 2
    assert rates
    most = round(found.speed.output_tokens_per_s)
    assert any(f"against {most:,} of {found.chosen.layout}" in reason for reason in rates)


def test_every_layout_that_fits_is_chosen_or_turned_down_once():
    found = find(request(model="meta-llama/Llama-3.1-70B"))
    layouts = [r.layout for r in found.rejected]
    assert len(layouts) == len(set(layouts))
    assert found.chosen.layout not in layouts
    assert all(r.reason for r in found.rejected)


def test_no_point_of_the_front_is_beaten():
    front = find(request(model="meta-llama/Llama-3.1-70B")).front
    assert len(front) > 1
    for a in front:
        assert not any(
            b.output_tokens_per_s_per_gpu > a.output_tokens_per_s_per_gpu
            and b.output_tokens_per_s_per_user > a.output_tokens_per_s_per_user
            for b in front
        )


def test_pins_are_kept_while_the_rest_is_searched():
    asked = replace(request(), parallelism=Parallelism(tensor=4))
    made = make_plan(asked, shape.load(asked.model.id))
    assert made.layout.tensor_parallel == 4


def test_why_knows_pinned_layouts_too():
    asked = replace(request(), parallelism=Parallelism(tensor=8, pipeline=2))
    found = alternatives(asked, shape.load(asked.model.id))
    assert found[0].code == "chosen"
    assert any(r.layout.tensor_parallel == 16 for r in found)


@pytest.mark.parametrize("model", ["Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V3"])
def test_mixtures_look_at_expert_parallelism(model):
    found = find(request(model=model))
    seen = {
        found.chosen.layout.expert_parallel,
        *(r.layout.expert_parallel for r in found.rejected),
    }
    assert max(seen) > 1


def test_reasons_compare_figures_of_one_kind():
    found = find(request())
    [wide] = [r for r in found.rejected if str(r.layout) == "TP=16 PP=1"]
    # replayed on both sides, at the percentile; the chosen one's figure is the plan's own
    assert f"against {found.speed.itl_percentile_s * 1e3:.1f}" in wide.reason
    assert "ITL p95" in wide.reason


def test_mixtures_look_at_attention_data_parallelism():
    found = find(request(model="deepseek-ai/DeepSeek-V3", concurrency=256))
    seen = {r.layout for r in found.rejected} | {found.chosen.layout}
    assert {(x.tensor_parallel, x.data_parallel, x.expert_parallel) for x in seen} >= {
        (1, 16, 16), (2, 8, 16), (8, 2, 16), (16, 1, 1),
    }  # fmt: skip
    assert all(x.pipeline_parallel == 1 for x in seen if x.data_parallel > 1)


def test_data_parallel_groups_of_a_dense_model_are_replicas():
    found = find(request(model="meta-llama/Llama-3.1-70B"))
    assert {r.layout.data_parallel for r in found.rejected} == {1}


def asked_of(**allowed):
    asked = request(model="meta-llama/Llama-3.1-70B", nodes=1)
    question = Question(allowed=Allowed(**allowed))
    return choose(asked, shape.load(asked.model.id), question)


def test_the_cheapest_basis_that_keeps_the_limits_is_chosen_and_the_request_says_so():
    chosen = asked_of(gpus=("H100-SXM", "B200-SXM"), quantizations=("none", "fp8"))
    assert chosen.request.cluster.gpu == chosen.plan.basis.gpu
    assert chosen.request.engine.quantization == chosen.plan.basis.quantization
    bases = {r.basis for r in chosen.plan.rejected} | {chosen.plan.basis}
    assert len(bases) == 4
    prices = {gpu: Prices().of(gpu).usd_per_hour for gpu in ("H100-SXM", "B200-SXM")}
    cost = prices[chosen.plan.basis.gpu] * chosen.plan.layout.num_gpus
    # 70B in 16 bits: two H100 or one B200 (179 GiB); in 8 bits two H100 hold it with room to spare
    assert cost <= min(2 * prices["H100-SXM"], prices["B200-SXM"]) + 1e-9


def test_what_no_kernel_can_run_is_a_reason_and_not_an_error():
    chosen = asked_of(engines=("vllm", "tensorrt-llm"), quantizations=("none", "nvfp4"))
    [refused] = [r for r in chosen.plan.rejected if r.layout is None]
    assert (refused.basis.engine, refused.code) == ("tensorrt-llm", "quantization-not-on-gpu")


def test_a_published_quantization_is_not_quantized_again():
    asked = request(model="deepseek-ai/DeepSeek-V3", nodes=2)
    question = Question(allowed=Allowed(quantizations=("none", "awq")))
    chosen = choose(asked, shape.load(asked.model.id), question)
    assert "already-quantized" in {r.code for r in chosen.plan.rejected if r.layout is None}


def test_a_free_load_yields_more_and_keeps_the_limits():
    slo = Slo(ttft_s=2.0, itl_s=0.03)
    asked = request(model="meta-llama/Llama-3.1-70B", nodes=1, slo=slo)
    model = shape.load(asked.model.id)
    fixed = choose(asked, model, Question())
    free = choose(asked, model, Question(objective=Objective.THROUGHPUT))
    assert free.plan.speed.itl_percentile_s <= 0.03
    assert free.plan.speed.ttft_percentile_s <= 2.0
    per_gpu = free.plan.speed.output_tokens_per_s_per_gpu
    assert per_gpu >= fixed.plan.speed.output_tokens_per_s_per_gpu
    assert free.request.workload.concurrency == free.plan.speed.concurrency


def test_data_parallel_ranks_of_a_dense_model_are_engines_of_their_own():
    # TP=4 DP=2 at 32 requests is twice TP=4 at 16
    asked = [
        replace(
            request(model="meta-llama/Llama-3.1-70B", nodes=1, concurrency=16 * copies),
            parallelism=Parallelism(tensor=4, pipeline=1, data=copies),
        )
        for copies in (1, 2)
    ]
    one, two = (find(each).speed for each in asked)
    assert two.itl_s == pytest.approx(one.itl_s)
    assert two.output_tokens_per_s == pytest.approx(2 * one.output_tokens_per_s)


def test_step_times_shared_by_depths_are_those_of_each():
    asked = request()
    model, flat = shape.load(asked.model.id), {}
    for stages in (1, 2, 4):
        layout = Layout(tensor_parallel=8, pipeline_parallel=stages)
        shared = setup_for(asked, model, layout, 10**6, flat)
        alone = setup_for(asked, model, layout, 10**6)
        assert shared.table.tokens.tolist() == alone.table.tokens.tolist()
    assert len(flat) == 1
