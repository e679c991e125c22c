"""Every obstacle by itself: its code, and numbers a person can act on."""

from dataclasses import replace

import pytest

from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL
from shardwright.model.units import GIB, MIB
from shardwright.rehearse.preflight import Machine, Needs, obstacles
from shardwright.rehearse.substitution import substitute

GOOD = Machine(
    system="Linux",
    architecture="x86_64",
    cores=2,
    cpu_flags=frozenset({"avx2", "fma"}),
    memory_available_bytes=8 * GIB,
    shm_free_bytes=64 * MIB,
    listening={22: "sshd (process 1)"},
    programs=frozenset({"vllm", "python"}),
)
NEEDS = Needs(is_isolated=False, programs=("vllm",), cpu_flags={"x86_64": ("avx2",)})


@pytest.fixture
def plan(launch, substitution):
    return substitute(launch(), substitution, VLLM_REHEARSAL)[0]


def test_a_good_machine_has_no_obstacle(plan):
    assert obstacles(plan, NEEDS, GOOD) == ()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"system": "Darwin"}, "platform-not-rehearsed", "Darwin"),
        ({"architecture": "riscv64"}, "platform-not-rehearsed", "riscv64"),
        ({"cpu_flags": frozenset({"sse4_2"})}, "cpu-too-old", "avx2"),
        ({"programs": frozenset({"python"})}, "engine-incomplete", "vllm"),
        # 4 ranks and 2 members at 1 GiB each
        ({"memory_available_bytes": 6 * GIB - 1}, "memory-too-small", "6.0 GiB"),
        ({"shm_free_bytes": 64 * MIB - 1}, "shm-too-small", "64 MiB"),
        ({"listening": {8000: "python3 (process 7)"}}, "port-in-use", "python3 (process 7)"),
        ({"listening": {29501: "vllm (process 9)"}}, "port-in-use", "29501"),
    ],
)
def test_obstacle(plan, change, code, words):
    (found,) = obstacles(plan, NEEDS, replace(GOOD, **change))
    assert found.code == code
    assert words in found.what
    assert found.remedy


def test_one_core_is_enough_for_four_ranks_and_not_for_eight(plan, launch, substitution):
    one_core = replace(GOOD, cores=1, memory_available_bytes=64 * GIB, shm_free_bytes=GIB)
    assert obstacles(plan, NEEDS, one_core) == ()
    wide = substitute(launch(), replace(substitution, tensor_parallel=4), VLLM_REHEARSAL)[0]
    (found,) = obstacles(wide, NEEDS, one_core)
    assert found.code == "cores-too-few"


def test_namespaces_have_ports_and_shared_memory_of_their_own(plan):
    taken = replace(GOOD, listening={8000: "x (process 1)"}, shm_free_bytes=0)
    assert obstacles(plan, replace(NEEDS, is_isolated=True), taken) == ()
