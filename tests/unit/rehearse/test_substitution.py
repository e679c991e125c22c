"""The one difference between deployment and rehearsal: what it touches and tells."""

from dataclasses import replace

import pytest

from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL
from shardwright.model.consistency import inconsistencies
from shardwright.model.flags import flag_value
from shardwright.model.plain import plain
from shardwright.model.process import EnvVar
from shardwright.model.request import Mechanism
from shardwright.model.text import text
from shardwright.model.volumes import VolumeKind
from shardwright.rehearse.reference import single_process
from shardwright.rehearse.substitution import substitute

CPU_ENV = {var.name for var in VLLM_REHEARSAL.env} | {"SHARDWRIGHT_RANKS_PER_NODE"}
TOUCHED_FLAGS = {"--tensor-parallel-size", "--pipeline-parallel-size", "--max-model-len", "--dtype"}
MECHANISMS = (Mechanism.LWS, Mechanism.STATEFULSET, Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY)


def untouchable(plan):
    """The plan without what a substitution may touch; everything else, to the byte."""
    members = tuple(
        replace(
            member,
            image="",
            ranks=(),
            gpus=0,
            cpu_millis=0,
            memory_bytes=0,
            shm_bytes=0,
            extra_resources=(),
            mounts=tuple(
                replace(m, size_bytes=None) if m.kind is VolumeKind.SHARED_MEMORY else m
                for m in member.mounts
            ),
            processes=tuple(
                replace(
                    process,
                    argv=masked(process.argv),
                    env=tuple(var for var in process.env if var.name not in CPU_ENV),
                )
                for process in member.processes
            ),
        )
        for member in plan.group.members
    )
    claims = tuple(replace(claim, access_mode="") for claim in plan.claims)
    placement = replace(plan.placement, node_selector=(), tolerations=())
    group = replace(plan.group, members=members)
    return repr(replace(plan, group=group, claims=claims, placement=placement)).encode()


def masked(argv):
    out, skip = [], False
    for i, word in enumerate(argv):
        if not skip:
            out.append(word if i != 2 else text("<model>"))
        skip = word in {text(flag) for flag in TOUCHED_FLAGS}
    return tuple(out)


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda m: m.value)
def test_the_wiring_is_untouched_byte_by_byte(launch, substitution, mechanism):
    plan = launch(mechanism=mechanism)
    small, _ = substitute(plan, substitution, VLLM_REHEARSAL)
    assert untouchable(small) == untouchable(plan)
    assert inconsistencies(small) == ()


def test_the_mask_of_this_test_would_notice_a_touched_wire(launch, substitution):
    plan = launch()
    small, _ = substitute(plan, substitution, VLLM_REHEARSAL)
    worker = small.group.members[1]
    process = worker.processes[0]
    headless = tuple(word for word in process.argv if word != text("--headless"))
    broken = replace(worker, processes=(replace(process, argv=headless),))
    group = replace(small.group, members=(small.group.members[0], broken))
    assert untouchable(replace(small, group=group)) != untouchable(plan)


def test_405b_scaled_to_2x2_keeps_both_axes_on_two_members(launch, substitution):
    small, changes = substitute(launch(), substitution, VLLM_REHEARSAL)
    leader, worker = small.group.members
    argv = leader.processes[0].argv
    assert flag_value(argv, ("--tensor-parallel-size",)) == "2"
    assert flag_value(argv, ("--pipeline-parallel-size",)) == "2"
    assert flag_value(argv, ("--max-model-len",)) == "512"
    assert argv[2] == text("/cache/small")
    # ranks by hand: stage 0 is ranks 0 and 1 with layers 0-1 on the leader
    assert [(r.index, r.tensor, r.pipeline, r.layers) for r in leader.ranks] == [
        (0, 0, 0, (0, 1)),
        (1, 1, 0, (0, 1)),
    ]
    assert [(r.index, r.tensor, r.pipeline, r.layers) for r in worker.ranks] == [
        (2, 0, 1, (2, 3)),
        (3, 1, 1, (2, 3)),
    ]
    # the pipeline width is what it was, so no change is told of it
    told = {change.path for change in changes}
    assert "processes[vllm].argv --tensor-parallel-size" in told
    assert "processes[vllm].argv --pipeline-parallel-size" not in told
    assert "group.members[*].extra_resources" in told


def test_every_difference_between_the_plans_is_told(launch, substitution):
    plan = launch(quantization="fp8", kv_cache_dtype="fp8", dtype="auto")
    small, changes = substitute(plan, substitution, VLLM_REHEARSAL)
    told = " ".join(change.path for change in changes)
    for before, after in zip(plan.group.members, small.group.members, strict=True):
        for name, value in plain(before).items():
            if name != "processes" and value != plain(after)[name]:
                assert f"group.members[*].{name}" in told
        old, new = before.processes[0], after.processes[0]
        names = {v.name for v in new.env} ^ {v.name for v in old.env}
        assert all(f"env {name}" in told for name in names)
        gone = [w[0] for w in old.argv if w not in new.argv and str(w[0]).startswith("--")]
        assert gone == ["--quantization", "--kv-cache-dtype"]
        assert all(flag in told for flag in gone)
    assert flag_value(small.group.members[0].processes[0].argv, ("--dtype",)) == "bfloat16"


def test_flags_are_set_in_the_spelling_the_user_chose(launch, substitution):
    plan = launch(extra_args=("-tp=4", "--max_model_len", "99"))
    argv = substitute(plan, substitution, VLLM_REHEARSAL)[0].group.members[0].processes[0].argv
    assert text("-tp=2") in argv
    assert argv[-2:] == (text("--max_model_len"), text("512"))


def test_members_follow_the_ranks(launch, substitution):
    one_rank = replace(substitution, tensor_parallel=1, layers=(4,))
    small, changes = substitute(launch(), one_rank, VLLM_REHEARSAL)
    assert len(small.group.members) == 1
    assert next(c for c in changes if c.path == "group.members").old == "2 members"


def test_layers_the_user_fixed_follow_the_small_model(launch, substitution):
    plan = launch(env=(("VLLM_PP_LAYER_PARTITION", "62,64"), ("GLOO_SOCKET_IFNAME", "ens5")))
    sub = replace(substitution, layers=(2, 3), interface="lo")
    env = substitute(plan, sub, VLLM_REHEARSAL)[0].group.members[1].processes[0].env
    values = {var.name: var.value for var in env}
    assert values["VLLM_PP_LAYER_PARTITION"] == ("2,3",)
    assert values["GLOO_SOCKET_IFNAME"] == ("lo",)


def test_the_reference_is_the_server_alone_with_every_layer(launch, substitution):
    small, _ = substitute(launch(), substitution, VLLM_REHEARSAL)
    alone = single_process(small, VLLM_REHEARSAL)
    (member,) = alone.group.members
    (process,) = member.processes
    words = [word[0] for word in process.argv]
    assert flag_value(process.argv, ("--tensor-parallel-size",)) == "1"
    assert not {"--nnodes", "--node-rank", "--master-addr", "--master-port"} & set(words)
    assert EnvVar(name="SHARDWRIGHT_RANKS_PER_NODE", value=text("1")) in process.env
    assert [rank.layers for rank in member.ranks] == [(0, 3)]
    assert inconsistencies(alone) == ()
