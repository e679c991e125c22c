"""The first rule: TP in the node, PP across nodes; impossible pins say why."""

from dataclasses import replace
from pathlib import Path

import pytest

from shardwright import shape
from shardwright.model.errors import ShardwrightError
from shardwright.model.request import Parallelism
from shardwright.planner.plan import make_plan
from shardwright.spec.load import load

TEXT = (Path(__file__).parents[3] / "examples" / "llama-3.1-405b-bf16-h100.yaml").read_text()


def plan(model="meta-llama/Llama-3.1-405B", nodes=2, gpus=8, **pinned):
    request = load(TEXT, "s").request
    request = replace(
        request,
        parallelism=Parallelism(**pinned),
        cluster=replace(request.cluster, nodes=nodes, gpus_per_node=gpus),
    )
    return make_plan(request, shape.load(model))


def test_pinned_degrees_are_kept_and_layers_split_as_vllm_does():
    made = plan(nodes=4, tensor=8, pipeline=4)
    assert [s.num_layers for s in made.stages] == [31, 32, 32, 31]  # vLLM's own split of 126
    assert made.num_nodes == 4


@pytest.mark.parametrize(
    ("pinned", "code"),
    [
        ({"tensor": 3}, "heads-not-divisible"),  # 128 heads
        ({"tensor": 8, "pipeline": 200}, "more-stages-than-layers"),
        ({"tensor": 8, "pipeline": 3}, "not-enough-nodes"),
    ],
)
def test_an_impossible_pin_is_the_users_error(pinned, code):
    with pytest.raises(ShardwrightError) as caught:
        plan(**pinned)
    assert caught.value.code == code


def test_heads_that_do_not_divide_name_the_sizes_that_do():
    with pytest.raises(ShardwrightError) as caught:
        plan(model="Qwen/Qwen2.5-14B", tensor=3)  # 40 heads, 8 KV heads
    assert "1, 2, 4, 8, 40" in caught.value.remedy
