"""Goodput: the requests that meet every objective at once, and whether they are enough of all.

A percentile of each latency by itself can pass while many requests miss one or the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardwright.model.measured import Measured
from shardwright.model.request import Slo
from shardwright.verify.confidence import is_share_above
from shardwright.verify.repeats import interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """share: of all requests, 0 to 1, None if it is not known; per_s: such requests a second.

    is_met: whether the share asked for is reached, None if none was asked for or nobody can tell.
    reason: why it is not met.
    """

    share: float | None = None
    per_s: float | None = None
    is_met: bool | None = None
    reason: str = ""


def goodput_of(measured: Measured, slo: Slo, runs: Sequence[Measured]) -> Goodput:
    """Count them. measured: the requests of all runs together; a failed request met nothing."""
    good = _good(measured, slo)
    if good is None or not measured.num_completed:
        return Goodput(reason="single requests are not known" if slo.goodput else "")
    share = _share(good, measured)
    per_s = good / measured.duration_s if measured.duration_s else None
    if slo.goodput is None:
        return Goodput(share=share, per_s=per_s)
    total = round(measured.num_completed / (1 - measured.error_rate))
    is_met, asked = is_share_above(slo.goodput, good, total), f"{slo.goodput * 100:.4g}%"
    reason = {
        True: "",
        False: f"{share:.1%} of requests met every objective; {asked} are asked",
        None: f"{good} good ones of {total} requests cannot tell {asked} of all; run longer",
    }[is_met]
    spread = interval([_share(_good(run, slo) or 0, run) for run in runs])
    if spread and spread.low <= slo.goodput <= spread.high and is_met is not None:
        is_met = None
        reason = (
            f"the {spread.num_runs} runs differ: its mean lies between {max(spread.low, 0.0):.1%} "
            f"and {min(spread.high, 1.0):.1%} (95 %); do more runs"
        )
    return Goodput(share=share, per_s=per_s, is_met=is_met, reason=reason)


def _good(measured: Measured, slo: Slo) -> int | None:
    unknown = (measured.ttft is None and slo.ttft_s) or (measured.itl is None and slo.itl_s)
    if not measured.samples or unknown:
        return None
    return sum(
        _within(s.ttft_s, slo.ttft_s) and _within(s.itl_s, slo.itl_s) for s in measured.samples
    )


def _within(value: float | None, objective: float | None) -> bool:
    return objective is None or (value is not None and value <= objective)


def _share(good: int, measured: Measured) -> float:
    """Of all requests: failures are of the whole run, the rest of its steady state, so the two
    shares are multiplied.
    """
    return good / measured.num_completed * (1 - measured.error_rate)
