"""Several runs of one load: their requests together, and how far the runs differ.

Requests of one run share its luck: the order of prompts, a neighbour's job, the state of a cache.
Only whole runs are independent, so their spread says how sure a figure is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from shardwright.model.measured import Measured, Window
from shardwright.verify.steady import of_samples

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093)  # fmt: skip
"""Student's t, two-sided 95 %, for 1 to 19 degrees of freedom. Source: NIST/SEMATECH e-Handbook,
table 1.3.6.7.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over runs and the 95 % interval of it."""

    num_runs: int
    mean: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval | None:
    """Where the mean of independent runs lies, with 95 % confidence; None for a single run.

    >>> found = interval([9.0, 10.0, 11.0])
    >>> round(found.low, 3), round(found.high, 3)
    (7.516, 12.484)
    """
    n = len(values)
    if n < 2:
        return None
    half = _T[min(n - 1, len(_T)) - 1] * stdev(values) / n**0.5
    mean = fmean(values)
    return Interval(num_runs=n, mean=mean, low=mean - half, high=mean + half)


def percentile_interval(runs: Sequence[Measured], name: str, percentile: float) -> Interval | None:
    """The interval of a percentile of `ttft` or `itl` over runs."""
    found = [getattr(run, name) for run in runs]
    values = [d.at(percentile) for d in found if d is not None]
    known = [v for v in values if v is not None]
    return interval(known) if len(known) == len(runs) else None


def pooled(runs: Sequence[Measured], percentile: float) -> Measured:
    """Put the requests of several runs together; a single run is itself."""
    first = runs[0]
    if len(runs) == 1:
        return first
    samples = tuple(sample for run in runs for sample in run.samples)
    tokens = [run.output_tokens for run in runs]
    return replace(
        of_samples(first, samples, percentile),
        num_completed=sum(run.num_completed for run in runs),
        num_failed=sum(run.num_failed for run in runs),
        duration_s=sum(run.duration_s for run in runs),
        output_tokens=None if None in tokens else sum(t for t in tokens if t is not None),
        effective_concurrency=_mean(runs, lambda run: run.effective_concurrency),
        send_delay_s=max((run.send_delay_s or 0.0 for run in runs), default=None),
        errors=tuple(dict.fromkeys(message for run in runs for message in run.errors)),
        findings=tuple(dict.fromkeys(finding for run in runs for finding in run.findings)),
        window=_window(runs),
    )


def _window(runs: Sequence[Measured]) -> Window | None:
    windows = [run.window for run in runs if run.window is not None]
    if len(windows) < len(runs):
        return None
    return Window(
        start_s=0.0,
        end_s=sum(w.end_s - w.start_s for w in windows),
        num_left_out=sum(w.num_left_out for w in windows),
        num_runs=len(windows),
    )


def _mean(runs: Sequence[Measured], pick: Callable[[Measured], float | None]) -> float | None:
    values = [v for run in runs if (v := pick(run)) is not None]
    return fmean(values) if values else None
