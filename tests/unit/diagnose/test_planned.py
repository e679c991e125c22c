"""NCCL's transport in a log, held against a plan: the same line is a fault, or none, or unclear."""

from dataclasses import replace

import pytest

from shardwright.diagnose.doctor import examine
from shardwright.diagnose.evidence import Document, Hit, Source
from shardwright.diagnose.planned import Planned
from shardwright.launch.transport import PlannedLinks
from shardwright.model.request import parse_fabric

LINE = Hit(
    document="spec.yaml", block=9, source=Source.MANIFEST, line=12, text="fabric: infiniband-400g"
)
RDMA = PlannedLinks(
    num_members=2, gpus_per_member=8, scaleup="NVLink 4", fabric=parse_fabric("infiniband-400g")
)
ETHERNET = replace(RDMA, fabric=parse_fabric("ethernet-100g"))
HOST = "llm-0:80:200 [0] NCCL INFO "
P2P = f"{HOST}Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\n"
SOCKET = f"{HOST}Channel 00/0 : 8[0] -> 0[0] [receive] via NET/Socket/0\n"
SHM = f"{HOST}Channel 02 : 0[0] -> 1[1] via SHM/direct/direct\n"


def found(text, links):
    planned = Planned(links=links, lines={"cluster.fabric": LINE, "cluster.gpu": LINE})
    document = Document(name="llm-0.log", chunks=[text.encode()])
    return examine([document], planned=planned if links else None).findings


@pytest.mark.parametrize("links", [RDMA, replace(RDMA, fabric=parse_fabric("roce-200g"))])
def test_sockets_where_rdma_is_planned_are_named_with_their_lines(links):
    first = found(P2P * 30 + SOCKET, links)[0]
    assert (first.code, first.confidence >= 0.7) == ("nccl-tcp-not-rdma", True)
    assert [(h.document, h.line) for h in first.evidence] == [("llm-0.log", 31), ("spec.yaml", 12)]
    assert "set spec.cluster.rdmaResource" in first.remedy


def test_the_remedy_names_the_resource_that_the_spec_asks_for():
    first = found(SOCKET, replace(RDMA, rdma_resource="rdma/hca_a"))[0]
    assert "rdma/hca_a" in first.remedy
    assert "cluster.rdmaResource" not in first.cause + first.remedy


def test_without_a_plan_sockets_stay_unclear():
    assert all(f.confidence < 0.7 for f in found(SOCKET, None))


def test_sockets_on_planned_ethernet_are_no_fault():
    text = f"{HOST}NET/IB : No device found.\n{HOST}Using network Socket\n{SOCKET}"
    assert found(text, ETHERNET) == ()


def test_no_device_is_a_fault_on_infiniband_and_none_on_efa():
    text = f"{HOST}NET/IB : No device found.\n"
    assert found(text, RDMA)[0].confidence >= 0.7
    on_efa = replace(RDMA, fabric=parse_fabric("efa-3200g"))
    assert all(f.confidence < 0.7 for f in found(text, on_efa))


def test_rdma_that_works_is_quiet():
    text = f"{HOST}Channel 00/0 : 8[0] -> 0[0] [receive] via NET/IB/0/GDRDMA\n{P2P}"
    assert found(text, RDMA) == ()


def test_host_memory_is_a_fault_only_where_nvlink_is_planned():
    assert found(SHM, RDMA)[0].code == "nccl-host-memory"
    assert found(SHM, replace(RDMA, scaleup=None)) == ()
    assert all(f.confidence < 0.7 for f in found(SHM, None))


def test_a_memory_error_stays_first_beside_a_slow_network():
    oom = (
        "ERROR 07-12 10:12:07 torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n"
    )
    codes = [f.code for f in found(oom + SOCKET, RDMA)]
    assert codes[0] == "gpu-oom"
    assert "nccl-tcp-not-rdma" in codes


@pytest.mark.parametrize(("way", "is_fault"), [("SYS", True), ("NV18", False)])
def test_a_matrix_of_links_is_held_against_nvlink(way, is_fault):
    matrix = f"\tGPU0\tGPU1\tCPU Affinity\nGPU0\t X \t{way}\t0-31\nGPU1\t{way}\t X \t0-31\n"
    assert [f.code for f in found(matrix, RDMA)] == ["nccl-host-memory"] * is_fault
    assert "nccl-host-memory" not in [f.code for f in found(matrix, replace(RDMA, scaleup=None))]
