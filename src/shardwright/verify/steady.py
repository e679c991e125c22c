"""The steady state of a load test, cut out of its single requests.

A load generator with N places sends N requests at once at the start and runs dry at the end; users
see neither. Kept are requests that began after the first N were answered and before the last one
was sent, and the tokens that came out between these instants.

Arrivals at a rate find an empty server, and as many requests as ever only once the longest time in
flight has passed: of Poisson arrivals that do not wait for each other the number in flight is then
exactly stationary. Source: the M/G/infinity queue, Takacs, Introduction to the Theory of Queues
(1962), chapter 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shardwright.model.measured import Distribution, Measured, Sample, Window
from shardwright.verify.confidence import requests_needed

RANKS = (1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0)


def steady(measured: Measured, percentile: float, *, needed: int | None = None) -> Measured:
    """Return the steady state, or the run as it is where there is none: a trace set the instants,
    or fewer requests are left than are needed. needed: by default as many as tell the percentile.
    """
    needed = requests_needed(percentile) if needed is None else needed
    if measured.concurrency is None and measured.requests_per_s is None:
        return measured
    window = window_of(measured.samples, measured.concurrency)
    if window is None:
        return measured
    kept = tuple(s for s in measured.samples if window[0] <= s.start_s <= window[1])
    if len(kept) < needed:
        return measured
    tokens = [_tokens_within(s, *window) for s in measured.samples]
    began = min(s.start_s for s in measured.samples)
    return replace(
        of_samples(measured, kept, percentile),
        num_completed=len(kept),
        duration_s=window[1] - window[0],
        output_tokens=round(sum(tokens)) if measured.output_tokens is not None else None,
        window=Window(
            start_s=window[0] - began,
            end_s=window[1] - began,
            num_left_out=measured.num_completed - len(kept),
        ),
    )


def window_of(samples: Sequence[Sample], places: int | None) -> tuple[float, float] | None:
    """First and last instant of the steady state, seconds; None where there is none.

    places: requests in flight at once at most; None: they arrive at a rate.
    """
    ordered = sorted(samples, key=lambda s: s.start_s)
    if len(ordered) <= (places or 0):
        return None
    if places is None:
        start = ordered[0].start_s + max(s.latency_s for s in ordered)
    else:
        start = max(s.start_s + s.latency_s for s in ordered[:places])
    end = ordered[-1].start_s
    return (start, end) if end > start else None


def of_samples(measured: Measured, samples: tuple[Sample, ...], percentile: float) -> Measured:
    """The same load test, its latencies summarised over these requests alone."""
    return replace(
        measured,
        samples=samples,
        ttft=_summary([s.ttft_s for s in samples if s.ttft_s is not None], percentile),
        itl=_summary([s.itl_s for s in samples if s.itl_s is not None], percentile),
        latency=_summary([s.latency_s for s in samples], percentile),
    )


def quantile(ordered: Sequence[float], percentile: float) -> float:
    """Interpolate linearly between ordered values, as AIPerf and numpy do.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 50)
    2.5
    """
    place = (len(ordered) - 1) * percentile / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _summary(values: list[float], percentile: float) -> Distribution | None:
    if not values:
        return None
    ordered = sorted(values)
    ranks = sorted({*RANKS, float(percentile)})
    return Distribution(
        count=len(values),
        mean=sum(values) / len(values),
        percentiles=tuple((rank, quantile(ordered, rank)) for rank in ranks),
    )


def _tokens_within(sample: Sample, start: float, end: float) -> float:
    """Tokens of a request that came out in a window: the first at its TTFT, the rest evenly."""
    if not sample.output_tokens:
        return 0.0
    done = sample.start_s + sample.latency_s
    first = done if sample.ttft_s is None else sample.start_s + sample.ttft_s
    if done <= first:  # not streamed, or a busy client read all chunks at one instant
        return sample.output_tokens if start <= done < end else 0.0
    alone = 1.0 if start <= first < end else 0.0
    overlap = max(0.0, min(done, end) - max(first, start))
    return alone + (sample.output_tokens - 1) * overlap / (done - first)
