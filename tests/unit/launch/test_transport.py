"""What counts as a slow link depends on what was planned there."""

import pytest

from shardwright.launch.transport import (
    Fault,
    PlannedLinks,
    fault_of,
    planned_links,
    transport_problems,
    transports,
)
from shardwright.model.request import Fabric, FabricKind
from shardwright.spec.load import load

SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: llm}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  cluster: {{gpu: {gpu}, gpusPerNode: 8, nodes: 2{more}}}
  workload: {{inputTokens: 2048, outputTokens: 256, concurrency: 32}}
"""


def links(gpu="H100-SXM", more="", members=2):
    return planned_links(load(SPEC.format(gpu=gpu, more=more), "s.yaml").request, members, 8)


RDMA = links(more=", fabric: infiniband-400g")
ETHERNET = links(more=", fabric: ethernet-100g")
UNSAID = links()


@pytest.mark.parametrize(
    ("way", "planned", "fault"),
    [
        ("NET/Socket/0", RDMA, Fault.TCP),
        ("NET/Socket/1/Shared", links(more=", fabric: efa-3200g"), Fault.TCP),
        ("NET/Socket/0", links(more=", rdmaResource: rdma/ib"), Fault.TCP),
        ("NET/Socket/0", ETHERNET, None),
        ("NET/Socket/0", UNSAID, None),
        ("NET/Socket/0", links(members=1), Fault.NETWORK_INSIDE),
        ("NET/IB/0/GDRDMA", RDMA, None),
        ("NET/IB/0(3)/GDRDMA", RDMA, None),
        ("NET/IB/0", RDMA, Fault.NO_GPUDIRECT),
        ("NET/IBext_v8/2", RDMA, Fault.NO_GPUDIRECT),
        ("NET/AWS Libfabric/0/GDRDMA", links(more=", fabric: efa-3200g"), None),
        ("SHM/direct/direct", RDMA, Fault.HOST_MEMORY),
        ("SHM/direct", links(gpu="L40S", more=", fabric: roce-200g"), None),
        ("SHM/direct", links(gpu="H100-PCIe", more=", fabric: roce-200g"), None),
        ("P2P/CUMEM", RDMA, None),
        ("P2P/IPC/read", links(gpu="L40S"), None),
    ],
)
def test_a_way_is_held_against_the_plan(way, planned, fault):
    assert fault_of(way, planned) is fault


def test_links_are_counted_once_and_told_by_host():
    lines = [
        "gpu-0:71:402 [0] NCCL INFO Channel 00/0 : 8[0] -> 0[0] [receive] via NET/Socket/0",
        "gpu-0:71:402 [0] NCCL INFO Channel 01/0 : 8[0] -> 0[0] [receive] via NET/Socket/1",
        "gpu-0:71:402 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM",
        "gpu-1:71:402 [0] NCCL INFO Channel 02 : 9[1] -> 8[0] via SHM/direct/direct",
        "gpu-1:71:402 [0] NCCL INFO Channel 00/0 : 8[0] -> 0[0] [send] via NET/AWS Libfabric/0",
    ]
    found = transports(lines)
    assert [dict(each.links) for each in found] == [
        {"NET/Socket": 1, "P2P/CUMEM": 1},
        {"NET/AWS Libfabric": 1, "SHM/direct/direct": 1},
    ]
    assert transport_problems(found, RDMA) == (
        "gpu-0: 1 links over TCP sockets, planned RDMA",
        "gpu-1: 1 links over host memory (SHM), planned P2P",
    )
    assert transport_problems(found, links(gpu="L40S", more=", fabric: ethernet-100g")) == ()


def test_nothing_is_expected_of_one_member_but_its_inside():
    alone = PlannedLinks(num_members=1, gpus_per_member=8, fabric=Fabric(
        kind=FabricKind.INFINIBAND, bits_per_s=1))  # fmt: skip
    assert not alone.expects_rdma
