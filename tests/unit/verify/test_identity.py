"""Ranks read from lines as vLLM 0.32.0 wrote them on a CPU, addresses and pids changed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL
from shardwright.model.launch import Rank
from shardwright.model.running import Line, Seat
from shardwright.verify.identity import RankSeen, match_ranks, ranks_seen

SEATS = (Seat(member=0, address="10.0.0.1"), Seat(member=1, address="10.0.0.2"))


def seen(*lines, seats=SEATS):
    lines = [Line(member=member, process="vllm", text=text) for member, text in lines]
    return ranks_seen(lines, VLLM_REHEARSAL, seats)


def test_a_rank_over_torch_is_put_together_from_three_lines():
    (rank,) = seen(
        (
            1,
            (
                "(Worker pid=19965) INFO [parallel_state.py:1906] world_size=4 rank=3 "
                "local_rank=1 distributed_init_method=tcp://10.0.0.1:29501 backend=gloo"
            ),
        ),
        (
            1,
            (
                "(Worker_PP1_TP1 pid=19965) INFO [cpu_model_runner.py:68] Starting to "
                "load model /m..."
            ),
        ),
        (1, "(Worker_PP1_TP1 pid=19965) INFO rank 3 holds layers 2-3"),
    )
    assert (rank.index, rank.pid, rank.member, rank.address) == (3, 19965, 1, "10.0.0.2")
    assert (rank.local_device, rank.tensor, rank.pipeline, rank.layers) == (1, 1, 1, (2, 3))


def test_over_ray_the_address_in_the_leaders_log_names_the_member():
    first, last = seen(
        (
            0,
            (
                "(RayWorkerProc pid=5739) (Worker pid=5739) INFO "
                "[parallel_state.py:1906] world_size=4 rank=1 local_rank=1 "
                "distributed_init_method=tcp://10.0.0.1:34409 backend=gloo"
            ),
        ),
        (
            0,
            (
                "(RayWorkerProc pid=5826, ip=10.0.0.2) (Worker pid=5826) INFO "
                "[parallel_state.py:1906] world_size=4 rank=3 local_rank=1 "
                "distributed_init_method=tcp://10.0.0.1:34409 backend=gloo"
            ),
        ),
        (
            0,
            (
                "(RayWorkerProc pid=5826, ip=10.0.0.2) (Worker_PP1_TP1 pid=5826) INFO "
                "[worker.py:32] rank 3 holds layers 2-3"
            ),
        ),
    )
    assert (first.member, first.address) == (0, "10.0.0.1")
    assert (last.member, last.address, last.tensor, last.layers) == (1, "10.0.0.2", 1, (2, 3))


def test_side_by_side_the_log_names_the_member_not_the_shared_address():
    shared = tuple(Seat(member=i, address="127.0.0.1") for i in range(2))
    text = "(Worker pid=7) INFO [parallel_state.py:1906] world_size=4 rank=2 local_rank=0 x"
    (rank,) = seen((1, text), seats=shared)
    assert rank.member == 1


def test_a_rank_that_started_twice_is_the_later_one():
    line = "(Worker pid={}) INFO world_size=4 rank=2 local_rank=0 distributed_init_method=x"
    (rank,) = seen((1, line.format(7)), (1, line.format(8)))
    assert rank.pid == 8


def test_two_members_may_have_the_same_process_ids():
    """Every pod counts from 1: seen on a cluster, where all ranks seemed to be of one stage."""
    world = "INFO world_size=2 rank={} local_rank=0 distributed_init_method=tcp://a backend=gloo"
    ranks = seen(
        (0, f"(Worker pid=40) {world.format(0)}"),
        (1, f"(Worker pid=40) {world.format(1)}"),
        (0, "(Worker_PP0_TP0 pid=40) INFO Starting to load model /m..."),
        (1, "(Worker_PP1_TP0 pid=40) INFO Starting to load model /m..."),
    )
    assert [(rank.member, rank.pipeline) for rank in ranks] == [(0, 0), (1, 1)]


PLANNED = Rank(index=0, tensor=1, pipeline=1, local_device=1, layers=(2, 3))
AS_PLANNED = RankSeen(
    index=0,
    pid=7,
    member=1,
    address="10.0.0.2",
    local_device=1,
    tensor=1,
    pipeline=1,
    layers=(2, 3),
)


def differences(*ranks):
    member = SimpleNamespace(index=1, ranks=(PLANNED,))
    plan = SimpleNamespace(group=SimpleNamespace(members=(member,)))
    (match,) = match_ranks(plan, ranks)
    return match.differences


def test_a_rank_where_the_plan_has_it_differs_in_nothing():
    assert differences(AS_PLANNED) == ()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("member", 0, "member planned 1, seen 0"),
        ("local_device", 0, "local device planned 1, seen 0"),
        ("tensor", 0, "tensor rank planned 1, seen 0"),
        ("pipeline", 0, "stage planned 1, seen 0"),
        ("layers", (0, 3), "layers planned (2, 3), seen (0, 3)"),
    ],
)
def test_each_part_of_a_rank_is_held_against_the_plan(field, value, words):
    assert differences(replace(AS_PLANNED, **{field: value})) == (f"rank 0: {words}",)


def test_a_rank_that_never_spoke_and_one_too_many_are_differences():
    assert differences() == ("rank 0 never said that it started",)
    extra = replace(AS_PLANNED, index=1)
    assert differences(AS_PLANNED, extra) == ("rank 1 runs and is not in the plan",)
