"""From a point to the latency and throughput a load test would measure there: a replay of the
engine's scheduler over the step times of the deployment. Equations: docs/planner.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.origin import Origin
from shardwright.model.shape import ModelShape
from shardwright.planner.analytic import max_requests_per_s
from shardwright.planner.coefficients import Coefficients, packaged
from shardwright.planner.deployment import Setup, setup_of, shape_of
from shardwright.planner.point import Point
from shardwright.planner.replaying import (
    TURNAROUND_S,
    Replay,
    fixed_ttft_s,
    mean_over_run,
    replay_of,
)
from shardwright.planner.scheduling import Scheduling
from shardwright.planner.simulate import replay


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Times in seconds, rates in tokens per second. ttft_s and tpot_s are means over requests,
    tails are at the 95th percentile unless another was asked for: ttft and tpot over requests, itl
    over single gaps, where every prefill that joins a step shows.
    """

    ttft_s: float
    tpot_s: float
    ttft_tail_s: float
    tpot_tail_s: float
    itl_tail_s: float
    output_tokens_per_s: float
    output_tokens_per_s_per_gpu: float
    concurrency: float
    is_saturated: bool
    origin: Origin
    note: str = ""


def predict(
    point: Point, shape: ModelShape | None = None, k: Coefficients | None = None
) -> Latency:
    """Predict one point. Raises ShardwrightError for a model, GPU, engine or layout that is unknown
    or does not fit.
    """
    shape = shape or shape_of(point.model)
    k = k or packaged()
    setup = setup_of(point, shape, k)
    return run(point, setup, k)


def run(point: Point, setup: Setup, k: Coefficients, percentile: float = 95.0) -> Latency:
    """Replay the point's load on a prepared setup; tails are at the percentile."""
    r = replay_of(point, setup, k)
    load = r.load
    ttft, tpot, ends, gaps, weights = replay(
        r.tokens, r.head, r.rates, r.loop, load.prompts, load.outputs, load.behind, load.due
    )
    ttft, tpot = ttft[: load.last], tpot[: load.last]
    fixed = fixed_ttft_s(point, setup, k)
    mean_ttft = mean_over_run(ttft, load.first, load.burst_share) + fixed
    mean_tpot = mean_over_run(tpot, load.first, load.burst_share)
    total = _throughput(point, mean_ttft, mean_tpot, r, ends)
    counted = 0 if load.burst_share else load.first
    return Latency(
        ttft_s=mean_ttft,
        tpot_s=mean_tpot,
        ttft_tail_s=_quantile(ttft[counted:], percentile / 100) + fixed,
        tpot_tail_s=_quantile(tpot[counted:], percentile / 100),
        itl_tail_s=_weighted_quantile(gaps, weights, percentile / 100),
        output_tokens_per_s=total,
        output_tokens_per_s_per_gpu=total / (point.tensor_parallel * point.pipeline_parallel),
        concurrency=float(r.slots),
        is_saturated=_is_saturated(point, r.sched, r, setup),
        origin=setup.origin,
        note=setup.note,
    )


def _throughput(point: Point, ttft: float, tpot: float, r: Replay, ends: list[float]) -> float:
    """Output tokens per second of all batches: by Little's law in a closed loop, by counting what
    came out between the first and the last end elsewhere.
    """
    if point.concurrency is not None and not point.request_rate:
        osl = point.osl_mean or float(point.osl)
        return point.concurrency * osl / (ttft + (osl - 1) * tpot + TURNAROUND_S)
    if r.sched.run_requests and r.load.burst_share:
        return _offline_rate(r, sorted(ends))
    # one whole round, between the filling of the slots and their running dry
    order = sorted(range(len(ends)), key=ends.__getitem__)
    first = 0 if point.request_rate else min(r.slots, len(order) // 3)
    last = len(order) if point.request_rate else max(first + 1, 2 * len(order) // 3)
    start = ends[order[first - 1]] if first else 0.0
    produced = sum(r.load.outputs[i] for i in order[first:last])
    return produced / max(ends[order[last - 1]] - start, 1e-9)


def _offline_rate(r: Replay, ends: list[float]) -> float:
    """Output tokens per second over a whole run; rounds that were not replayed pass as quickly as
    the middle third of those that were.
    """
    num = len(ends)
    left = r.sched.run_requests - num
    middle = (ends[2 * num // 3] - ends[num // 3]) / max(2 * num // 3 - num // 3, 1)
    seconds = ends[-1] + max(left, 0.0) * middle
    return (num + max(left, 0.0)) * r.load.outputs[0] / max(seconds, 1e-9)


def _is_saturated(point: Point, sched: Scheduling, r: Replay, setup: Setup) -> bool:
    """Whether more is asked than can be served: a rate beyond the most that is sustained, or more
    sequences than the KV cache holds.
    """
    isl, osl = point.isl_mean or float(point.isl), point.osl_mean or float(point.osl)
    held = isl + 0.5 * osl
    fits = int(setup.capacity / held) if setup.capacity else sched.max_num_seqs
    if point.request_rate:
        stages = point.pipeline_parallel
        most = max(1, min(sched.max_num_seqs, fits) // stages)
        missed = isl * (1 - point.prefix_hit_rate)
        rate = max_requests_per_s(setup.table, missed, osl, sched.token_budget, most, stages)
        return point.request_rate > rate * stages
    return point.concurrency is not None and r.slots > fits


def _quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def _weighted_quantile(values: list[float], weights: list[float], q: float) -> float:
    total, so_far = sum(weights), 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        so_far += weight
        if so_far >= q * total:
            return value
    return values[-1]
