"""A run against an earlier one: what got worse by more than is allowed. For pipelines."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.measured import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure before and after. worse: by what part it is worse; negative if it is better."""

    name: str
    before: float
    after: float
    worse: float
    is_regression: bool


def compare(before: Measured, after: Measured, max_regression: float) -> tuple[Change, ...]:
    """Compare means, which a moderate run knows well; percentiles are the verdict's business.

    max_regression: 0.05 allows 5 % worse.
    """
    changes = []
    pairs = (
        ("mean time to first token, s", _mean(before, "ttft"), _mean(after, "ttft"), False),
        ("mean time between tokens, s", _mean(before, "itl"), _mean(after, "itl"), False),
        ("output tokens/s", before.output_tokens_per_s, after.output_tokens_per_s, True),
    )
    for name, old, new, more_is_better in pairs:
        if not old or not new:
            continue
        worse = old / new - 1 if more_is_better else new / old - 1
        changes.append(
            Change(
                name=name, before=old, after=new, worse=worse, is_regression=worse > max_regression
            )
        )
    return tuple(changes)


def _mean(measured: Measured, name: str) -> float | None:
    summary = getattr(measured, name)
    return summary.mean if summary else None
