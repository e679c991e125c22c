"""What GPUs of a group talk through: NVLink or xGMI inside a node, PCIe without it, a network
between nodes. Rates are one direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardwright.facts.gpus import Gpu
from shardwright.model.request import Fabric, FabricKind

GPUS_PER_NODE = 8

_PCIE_BYTES_PER_S = {3: 12.0e9, 4: 24.0e9, 5: 48.0e9, 6: 96.0e9}
"""Usable rate of 16 lanes, three quarters of the nominal one. Assumed."""

_LATENCY_S = {
    FabricKind.INFINIBAND: 4e-6,
    FabricKind.ROCE: 6e-6,
    FabricKind.EFA: 15e-6,
    FabricKind.ETHERNET: 40e-6,
}
"""Seconds a message takes besides its bytes, host staging included for TCP. Assumed."""

_USE = {
    FabricKind.INFINIBAND: 0.9,
    FabricKind.ROCE: 0.85,
    FabricKind.EFA: 0.8,
    FabricKind.ETHERNET: 0.7,
}
"""Share of the line rate that NCCL reaches with large messages. Assumed."""

DEFAULT_FABRIC = Fabric(kind=FabricKind.INFINIBAND, bits_per_s=400 * 10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """bytes_per_s: one direction, as a group sees it; latency_s: added to every message."""

    bytes_per_s: float
    latency_s: float
    name: str


def links_of(
    gpu: Gpu,
    tensor_parallel: int,
    pipeline_parallel: int,
    *,
    gpus_per_node: int | None = None,
    fabric: Fabric = DEFAULT_FABRIC,
) -> tuple[Link, Link]:
    """Return the slowest link inside a tensor-parallel group and between two stages.

    Ranks are laid out stage by stage, so a tensor-parallel group crosses nodes only when it is
    larger than one.
    """
    node = gpus_per_node or max(GPUS_PER_NODE, gpu.domain_gpus)
    inside, between = _inside(gpu), network(fabric, node)
    across = replace(between, bytes_per_s=min(between.bytes_per_s, inside.bytes_per_s))
    tensor = inside if tensor_parallel <= node else across
    return tensor, inside if tensor_parallel * pipeline_parallel <= node else between


def network(fabric: Fabric, gpus_per_node: int) -> Link:
    """Return the link between nodes: a NIC per GPU where it is RDMA, one per node where not.

    NCCL spreads a ring over all NICs of a node, and engines send a stage's output in one slice per
    rank, so a group sees the sum of the node's NICs.
    """
    nics = gpus_per_node if fabric.is_rdma else 1
    return Link(
        bytes_per_s=fabric.bits_per_s / 8 * _USE[fabric.kind] * nics,
        latency_s=_LATENCY_S[fabric.kind],
        name=str(fabric),
    )


def _inside(gpu: Gpu) -> Link:
    if gpu.scaleup_bytes_per_s:
        return Link(
            bytes_per_s=gpu.scaleup_bytes_per_s / 2, latency_s=0.0, name=gpu.scaleup or "NVLink"
        )
    rate = _PCIE_BYTES_PER_S.get(gpu.pcie_gen or 4, 24.0e9)
    return Link(bytes_per_s=rate, latency_s=10e-6, name=f"PCIe gen {gpu.pcie_gen or 4}")
