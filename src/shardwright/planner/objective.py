"""What a choice is judged by: the latency limits, and what is wanted within them."""

from __future__ import annotations

from enum import Enum

from shardwright.model.plan import Speed
from shardwright.model.request import Slo


class Objective(Enum):
    """What is wanted of the layouts that keep the limits.

    COST: serve the asked load for least money. THROUGHPUT: the load is free; most output tokens
    per second for the money.
    """

    COST = "cost"
    THROUGHPUT = "throughput"


def excess(slo: Slo, ttft_s: float, itl_s: float) -> float:
    """Return how far over the limits the worse figure is; 1 is just kept, 0 where none is set.

    >>> excess(Slo(ttft_s=2.0, itl_s=0.05), 1.0, 0.06)
    1.2
    """
    return max(ttft_s / slo.ttft_s if slo.ttft_s else 0.0, itl_s / slo.itl_s if slo.itl_s else 0.0)


def kept(slo: Slo, speed: Speed) -> bool:
    """Return whether a replayed load keeps the limits at their percentile."""
    over = excess(slo, speed.ttft_percentile_s, speed.itl_percentile_s)
    return over <= 1 and not speed.is_saturated
