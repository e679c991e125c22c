"""GPUs as NVIDIA's GPU feature discovery labels their nodes. Data and sources: gpu_products.csv."""

from __future__ import annotations

from functools import cache

from shardwright.facts.gpus import gpu
from shardwright.facts.table import rows

PRODUCT_LABEL = "nvidia.com/gpu.product"
"""The node label; its value is the driver's name of the GPU with dashes for blanks. A node whose
GPUs are shared or cut into MIG devices has a value of its own, which no entry here equals."""


@cache
def _products() -> dict[str, str]:
    return {row["gpu"]: row["product"] for row in rows("gpu_products.csv")}


def product(name: str) -> str | None:
    """Return the label's value for a GPU by any of its names; None where it is not known.

    >>> product("h200"), product("MI300X")
    ('NVIDIA-H200', None)
    """
    return _products().get(gpu(name).id)
