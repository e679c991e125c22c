"""What load to send: the spec's workload, with requests enough for the percentile to be known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from shardwright.model.request import Slo, Workload
from shardwright.verify.confidence import requests_needed

DEFAULT_CONCURRENCY = 8
ROUNDS = 10  # times every place of a fixed concurrency is used
RAMP_ROUNDS = 2  # of them outside the steady state: the first burst and the running dry


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run: a fixed concurrency, a Poisson arrival rate, or a trace with its own instants.

    Lengths in tokens, normal around their means; prefix_tokens of every prompt are one of
    num_prefixes shared beginnings. trace: the path of a Mooncake trace; then the lengths are its.
    """

    concurrency: int | None
    requests_per_s: float | None
    input_tokens: int
    output_tokens: int
    prefix_tokens: int
    num_requests: int
    num_warmup: int
    input_stddev: float = 0.0
    output_stddev: float = 0.0
    num_prefixes: int = 1
    trace: str | None = None
    seed: int = 1

    @property
    def load(self) -> str:
        """The load in words."""
        if self.concurrency is not None:
            return f"concurrency {self.concurrency}"
        if self.requests_per_s is not None:
            return f"{self.requests_per_s:g} requests/s"
        return f"trace of {self.num_requests} requests"

    @property
    def lengths(self) -> str:
        """The lengths in words.

        >>> load = Workload(input_tokens=100, input_stddev=20, output_tokens=8)
        >>> scenario_for(load, Slo()).lengths
        '100 ± 20 tokens in, 8 out'
        """
        if self.trace:
            return f"lengths of {self.trace}"
        text = f"{_with_deviation(self.input_tokens, self.input_stddev)} tokens in, "
        text += f"{_with_deviation(self.output_tokens, self.output_stddev)} out"
        if self.prefix_tokens:
            text += f", {self.prefix_tokens} of them shared ({self.num_prefixes} prefixes)"
        return text


def _with_deviation(mean: int, stddev: float) -> str:
    return f"{mean:,} ± {stddev:g}" if stddev else f"{mean:,}"


def scenario_for(workload: Workload, slo: Slo, *, num_requests: int | None = None) -> Scenario:
    """Derive a run from the spec: its load, and requests enough that the percentile is known from
    the steady state alone, without the first burst and the last requests.

    >>> scenario_for(Workload(concurrency=32), Slo(percentile=99)).num_requests
    363
    >>> scenario_for(Workload(concurrency=4), Slo(percentile=95)).num_requests
    67
    """
    concurrency = workload.concurrency
    needed = requests_needed(slo.percentile)
    flying = in_flight(workload, slo)
    if concurrency is None and workload.requests_per_s is None:
        concurrency = DEFAULT_CONCURRENCY
    return Scenario(
        concurrency=concurrency,
        requests_per_s=workload.requests_per_s,
        input_tokens=workload.input_tokens,
        output_tokens=workload.output_tokens,
        prefix_tokens=workload.prefix_tokens,
        num_requests=num_requests or _enough(concurrency, needed, flying),
        num_warmup=concurrency or flying or DEFAULT_CONCURRENCY,
        input_stddev=workload.input_stddev,
        output_stddev=workload.output_stddev,
        num_prefixes=workload.num_prefixes,
    )


def in_flight(workload: Workload, slo: Slo) -> int | None:
    """Requests in flight on average, at most, while an arrival rate is served within its objective.

    Rate times time in flight (Little's law). None without a rate, or without an objective of both
    times, for then nobody knows beforehand how long a request takes.

    >>> in_flight(Workload(requests_per_s=2, output_tokens=101), Slo(ttft_s=1.0, itl_s=0.05))
    12
    """
    if workload.requests_per_s is None or slo.ttft_s is None or slo.itl_s is None:
        return None
    longest_s = slo.ttft_s + (workload.output_tokens - 1) * slo.itl_s
    return ceil(workload.requests_per_s * longest_s)


def replayed(scenario: Scenario, trace: str, num_requests: int) -> Scenario:
    """The scenario of a trace that is sent at its own instants."""
    return replace(
        scenario,
        trace=trace,
        concurrency=None,
        requests_per_s=None,
        num_requests=num_requests,
        num_warmup=0,
    )


def at_concurrency(
    scenario: Scenario, concurrency: int, percentile: float, least: int = 0
) -> Scenario:
    """The same requests at another fixed concurrency, never fewer than its rounds need."""
    needed = _enough(concurrency, requests_needed(percentile), None)
    return replace(
        scenario,
        concurrency=concurrency,
        requests_per_s=None,
        num_warmup=concurrency,
        num_requests=max(least, needed),
    )


def repeated(scenario: Scenario, run: int) -> Scenario:
    """The n-th repetition, from 0: other prompts of the same lengths."""
    return replace(scenario, seed=scenario.seed + run)


def _enough(concurrency: int | None, needed: int, flying: int | None) -> int:
    """Of an arrival rate, as many besides as arrive before the steady state begins; where that is
    not known, as many again as are needed.
    """
    if concurrency is None:
        return needed + (flying or needed)
    return max(ROUNDS * concurrency, needed + RAMP_ROUNDS * concurrency)
