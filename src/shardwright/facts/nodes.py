"""Machines with GPUs, as clouds and vendors sell them, with dated prices. Data: data/nodes.csv."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from shardwright.facts.aliases import nearest
from shardwright.facts.table import optional_float, optional_int, rows
from shardwright.model.errors import usage_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine type. Bytes, Gbit/s per direction, US dollars per hour; None: not found.

    price_date names day, region and kind of the price, as the source states it.
    """

    name: str
    cloud: str
    gpu: str
    gpus: int
    host_ram_bytes: int | None
    vcpus: int | None
    local_nvme_bytes: int | None
    nic_count: int | None
    nic_gbit_s_each: float | None
    node_network_gbit_s: float | None
    fabric: str
    intra_node: str
    price_usd_per_hour: float | None
    price_date: str
    source: str
    note: str


@cache
def nodes() -> dict[str, Node]:
    """Return every machine type by name."""
    return {row["name"]: _node(row) for row in rows("nodes.csv")}


def node(name: str) -> Node:
    """Return a machine type by name.

    >>> node("p5.48xlarge").gpu, node("p5.48xlarge").gpus
    ('H100-SXM', 8)
    """
    try:
        return nodes()[name]
    except KeyError:
        near = nearest(name, nodes())
        raise usage_error(
            "unknown-node",
            f"{name!r} is not a machine type we have figures for",
            remedy=f"use one of {', '.join(near)}" if near else "give gpu and gpusPerNode instead",
        ) from None


def with_gpu(gpu_id: str) -> tuple[Node, ...]:
    """Return the machine types that carry a GPU, cheapest per GPU first, unpriced ones last."""
    found = [n for n in nodes().values() if n.gpu == gpu_id]
    return tuple(
        sorted(
            found,
            key=lambda n: (
                n.price_usd_per_hour is None,
                (n.price_usd_per_hour or 0) / n.gpus,
                n.name,
            ),
        )
    )


def _node(row: dict[str, str]) -> Node:
    return Node(
        name=row["name"],
        cloud=row["cloud"],
        gpu=row["gpu"],
        gpus=int(row["gpus"]),
        host_ram_bytes=optional_int(row, "host_ram_bytes"),
        vcpus=optional_int(row, "vcpus"),
        local_nvme_bytes=optional_int(row, "local_nvme_bytes"),
        nic_count=optional_int(row, "nic_count"),
        nic_gbit_s_each=optional_float(row, "nic_gbit_s_each"),
        node_network_gbit_s=optional_float(row, "node_network_gbit_s"),
        fabric=row["fabric"],
        intra_node=row["intra_node"],
        price_usd_per_hour=optional_float(row, "price_usd_h"),
        price_date=row["price_date"],
        source=row["source"],
        note=row["note"],
    )
