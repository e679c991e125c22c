"""How many groups there may be, and what load brings another one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Scaler(Enum):
    """Who counts the groups."""

    HPA = "hpa"
    KEDA = "keda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Between the plan's replicas and max_replicas, one per requests_per_replica in flight.

    in_flight: for KEDA the gauges whose sum that is; for an HPA the one metric of each pod that
    the cluster's metrics adapter serves. server: address of the Prometheus that KEDA asks.
    """

    scaler: Scaler
    max_replicas: int
    requests_per_replica: int
    in_flight: tuple[str, ...]
    server: str | None = None
