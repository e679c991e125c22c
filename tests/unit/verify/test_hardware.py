"""Hardware checks: reports of two real H100, judged against what a plan counts on."""

from dataclasses import replace
from pathlib import Path

import pytest

from shardwright import shape
from shardwright.facts.gpus import gpu
from shardwright.launch.build import build_launch_plan
from shardwright.launch.hardware import hardware_check
from shardwright.model.request import Fabric, FabricKind
from shardwright.planner.plan import make_plan
from shardwright.spec.load import load
from shardwright.verify.hardware import Verdict, read_member
from shardwright.verify.hardware_expected import Expected
from shardwright.verify.hardware_rules import judge

DATA = Path(__file__).parents[2] / "data" / "hardware"
SPEC = """
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: hw}}
spec:
  model: {{id: Qwen/Qwen3-8B}}
  cluster: {{gpu: H100-SXM, gpusPerNode: {gpus}, nodes: {nodes}, fabric: infiniband-400g}}
  parallelism: {{tensor: {gpus}, pipeline: {nodes}}}
"""


def seen(name):
    lines = (DATA / f"h100-{name}.txt").read_text().splitlines()
    return [read_member(line) for line in lines]


@pytest.fixture
def expected():
    def make(gpus, nodes):
        request = load(SPEC.format(gpus=gpus, nodes=nodes), "spec.yaml").request
        model = shape.load(request.model.id)
        check = hardware_check(build_launch_plan(request, model, make_plan(request, model)))
        return Expected(plan=check, gpu=gpu("H100-SXM"), fabric=request.cluster.fabric,
                        read_bytes_per_s=None)  # fmt: skip

    return make


def rows_of(verdict, check):
    return [r for r in verdict.rows if r.check == check]


def test_two_healthy_gpus_over_nvlink_pass(expected):
    verdict = judge(expected(2, 1), seen("single"))
    assert verdict.findings == ()
    assert verdict.passed
    (reduced,) = rows_of(verdict, "all-reduce inside")
    # 268435456 bytes, n=2: bus rate = bytes / 0.8991 ms = 298.6 GB/s; 48 + 80 channels, all P2P
    assert reduced.measured == "298.6 GB/s via P2P/CUMEM x128"
    assert reduced.expected.startswith("450.0 GB/s")
    assert [r.measured for r in rows_of(verdict, "GPUs")] == ["2 NVIDIA H100 80GB HBM3"]


def test_shared_memory_instead_of_nvlink_is_a_bad_link(expected):
    members = [replace(m, gpus=m.gpus[:1]) for m in seen("shm")]
    verdict = judge(expected(1, 2), members)
    assert {f.code for f in verdict.findings if "link" in f.code} == {"hardware-slow-link"}
    (reduced,) = rows_of(verdict, "all-reduce of the group")
    assert reduced.verdict is Verdict.BAD
    assert reduced.measured == "27.7 GB/s via SHM/direct/direct x6"


def test_tcp_between_nodes_is_named_where_rdma_was_planned(expected):
    members = [replace(m, gpus=m.gpus[:1], node=f"n{m.member}") for m in seen("net")]
    verdict = judge(expected(1, 2), members)
    codes = {f.code for f in verdict.findings}
    assert {"hardware-tcp", "hardware-no-rdma", "hardware-slow-link"} <= codes
    (transport,) = rows_of(verdict, "transport between nodes")
    assert transport.measured == "NET/Socket, NET/Socket/Shared"
    assert not verdict.passed


def test_tcp_is_right_where_ethernet_was_planned(expected):
    members = [replace(m, gpus=m.gpus[:1], node=f"n{m.member}") for m in seen("net")]
    plain = replace(expected(1, 2), fabric=Fabric(kind=FabricKind.ETHERNET, bits_per_s=40 * 10**9))
    assert judge(plain, members).findings == ()


def test_a_member_that_never_came_is_an_error_and_so_is_what_waits_for_it(expected):
    members = [replace(m, gpus=m.gpus[:1]) for m in seen("alone")]
    verdict = judge(expected(1, 2), members)
    codes = [f.code for f in verdict.findings if f.severity.value == "error"]
    assert {"hardware-not-reported", "hardware-name-unresolved", "hardware-rank-failed"} <= set(
        codes
    )
    assert "ran out of time" in next(
        f.what for f in verdict.findings if f.code == "hardware-rank-failed"
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"shm_bytes": 64 << 20}, "hardware-shm-small"),
        ({"xids": ("NVRM: Xid (PCI:0000:41:00): 79",)}, "hardware-gpu-fault"),
        ({"fabric": ("In Progress",)}, "hardware-gpu-fault"),
        ({"inactive_links": 2}, "hardware-gpu-fault"),
        ({"gpus": ()}, "hardware-gpu-count"),
    ],
)
def test_each_fault_has_its_finding(expected, change, code):
    (member,) = seen("single")
    verdict = judge(expected(2, 1), [replace(member, **change)])
    assert code in [f.code for f in verdict.findings]
    assert not verdict.passed


def test_a_clock_that_is_off_is_told_but_fails_nothing(expected):
    first, second = (replace(m, gpus=m.gpus[:1]) for m in seen("pair"))
    verdict = judge(expected(1, 2), [first, replace(second, clock_offset_s=-7.5)])
    assert [f.what for f in verdict.findings if "clock" in f.code] == [
        "the clock of vm is 7.5 s off"
    ]


@pytest.mark.parametrize(
    "log", ["", "SHARDWRIGHT-HARDWARE {", "SHARDWRIGHT-HARDWARE []", "SHARDWRIGHT-HARDWARE {}"]
)
def test_a_broken_report_is_none(log):
    assert read_member(log) is None
