"""A run against an earlier one: what got worse by more than is allowed. For pipelines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.measured import Measured
from shardwright.verify.readers import read_result
from shardwright.verify.steady import steady

RESULT_KIND = "shardwright.dev/bench/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Means of the earlier run; None where it does not have one."""

    ttft_s: float | None
    itl_s: float | None
    output_tokens_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure before and after. worse: by what part it is worse; negative if it is better."""

    name: str
    before: float
    after: float
    worse: float
    is_regression: bool


def baseline_of(text: str, file: str, records: str | None, percentile: float) -> Baseline:
    """Read an earlier result: of a bench of ours, or of a load tool, whose steady state counts."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and str(document.get("apiVersion", "")).startswith(RESULT_KIND):
        try:
            return _of_result(document)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ShardwrightError(
                code="baseline-not-readable",
                what=f"{file} is no whole result of a bench: {type(error).__name__} {error}",
                remedy="pass the result.json, or the folder, of a bench that ran to its end",
                exit_code=ExitCode.USAGE,
            ) from error
    measured = read_result(text, file, records)
    return summary(steady(measured, percentile))


def summary(measured: Measured) -> Baseline:
    """Means, which a moderate run knows well; percentiles are the verdict's business."""
    return Baseline(
        ttft_s=measured.ttft.mean if measured.ttft else None,
        itl_s=measured.itl.mean if measured.itl else None,
        output_tokens_per_s=measured.output_tokens_per_s,
    )


def _of_result(document: dict[str, Any]) -> Baseline:
    """Read result.json: of a sweep the best load, as the report shows it."""
    runs = document["runs"]
    best = document.get("best")
    run = next((r for r in runs if r["scenario"]["concurrency"] == best), runs[0])
    means = {t["name"]: t["mean_s"] for t in run["verdict"]["terms"]}
    return Baseline(
        ttft_s=means.get("ttft"),
        itl_s=means.get("itl"),
        output_tokens_per_s=run["verdict"]["output_tokens_per_s"],
    )


def compare(before: Baseline, measured: Measured, max_regression: float) -> tuple[Change, ...]:
    """Compare means. max_regression: 0.05 allows 5 % worse."""
    after = summary(measured)
    changes = []
    pairs = (
        ("mean time to first token, s", before.ttft_s, after.ttft_s, False),
        ("mean time between tokens, s", before.itl_s, after.itl_s, False),
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
