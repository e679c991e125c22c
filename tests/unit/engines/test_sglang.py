from dataclasses import replace
from pathlib import Path

from shardwright.engines.engine import Refusal
from shardwright.engines.sglang import SGLANG, split_layers
from shardwright.engines.tensorrt_llm import TENSORRT_LLM
from shardwright.launch.build import build_launch_plan
from shardwright.model.launch import TorchStore
from shardwright.model.layout import Layout
from shardwright.model.request import Mechanism, Parallelism
from shardwright.planner.plan import make_plan
from shardwright.shape import load
from shardwright.spec.load import load as load_spec


def test_last_stages_get_the_extra_layers():
    # get_pp_indices of sglang at 1107be11: remainder 2 of 126 over 4 goes to ranks 2 and 3
    assert split_layers(126, 4) == (31, 31, 32, 32)
    assert split_layers(80, 2) == (40, 40)


def test_meets_at_a_store_only_when_there_is_somebody_to_meet():
    assert SGLANG.meet("0.5.23", Mechanism.LWS, 1) is None
    assert SGLANG.meet("0.5.23", Mechanism.LWS, 2) == TorchStore(port=20000)


def test_mechanisms_it_cannot_run_under_are_refused_with_what_to_use():
    for mechanism in (Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY, Mechanism.MPI):
        refusal = SGLANG.meet("0.5.23", mechanism, 2)
        assert isinstance(refusal, Refusal)
        assert "lws" in refusal.reason


def test_attention_groups_are_counted_inside_the_tensor_parallel_size():
    # flags of 0.5.23 and 0.5.20: --enable-dp-attention is deprecated since --attn-dp-size
    path = Path(__file__).parents[3] / "examples" / "qwen3-30b-a3b.yaml"
    asked = load_spec(path.read_text(), "s").request
    for version, flags in (
        ("0.5.23", ["--tp-size 2", "--attn-dp-size 2"]),
        ("0.5.20", ["--tp-size 2", "--dp-size 2", "--enable-dp-attention"]),
    ):
        request = replace(
            asked,
            engine=replace(asked.engine, name="sglang", version=version),
            parallelism=Parallelism(tensor=1, pipeline=1, data=2, expert=2, replicas=1),
        )
        model = load(request.model.id)
        built = build_launch_plan(request, model, make_plan(request, model))
        words = " ".join(str(part) for t in built.group.members[0].processes[0].argv for part in t)
        assert all(flag in words for flag in flags), words


def test_what_cannot_be_written_is_refused_and_not_planned():
    layout = Layout(tensor_parallel=1, data_parallel=8, expert_parallel=8)
    [refusal] = TENSORRT_LLM.refuse_layout(load("Qwen/Qwen3-30B-A3B"), layout)
    assert refusal.code == "attention-dp-not-written"
