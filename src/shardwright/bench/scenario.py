"""What load to send: the spec's workload, with requests enough for the percentile to be known."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardwright.model.request import Slo, Workload
from shardwright.verify.confidence import requests_needed

DEFAULT_CONCURRENCY = 8
ROUNDS = 10  # times every place of a fixed concurrency is used


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run: a fixed concurrency or a Poisson arrival rate; lengths in tokens."""

    concurrency: int | None
    requests_per_s: float | None
    input_tokens: int
    output_tokens: int
    prefix_tokens: int
    num_requests: int
    num_warmup: int
    seed: int = 1

    @property
    def load(self) -> str:
        """The load in words."""
        if self.concurrency is not None:
            return f"concurrency {self.concurrency}"
        return f"{self.requests_per_s:g} requests/s"


def scenario_for(workload: Workload, slo: Slo, *, num_requests: int | None = None) -> Scenario:
    """Derive a run from the spec: its load, and at least as many requests as the percentile needs.

    >>> scenario_for(Workload(concurrency=32), Slo(percentile=99)).num_requests
    320
    >>> scenario_for(Workload(concurrency=4), Slo(percentile=95)).num_requests
    59
    """
    concurrency = workload.concurrency
    if concurrency is None and workload.requests_per_s is None:
        concurrency = DEFAULT_CONCURRENCY
    rounds = ROUNDS * concurrency if concurrency else 0
    return Scenario(
        concurrency=concurrency,
        requests_per_s=workload.requests_per_s,
        input_tokens=workload.input_tokens,
        output_tokens=workload.output_tokens,
        prefix_tokens=workload.prefix_tokens,
        num_requests=num_requests or max(rounds, requests_needed(slo.percentile)),
        num_warmup=concurrency or 8,
    )


def at_concurrency(scenario: Scenario, concurrency: int) -> Scenario:
    """The same requests at another fixed concurrency, never fewer than its rounds need."""
    return replace(
        scenario,
        concurrency=concurrency,
        requests_per_s=None,
        num_warmup=concurrency,
        num_requests=max(scenario.num_requests, ROUNDS * concurrency),
    )
