"""Does a measured endpoint meet its objective? Pass, fail, or not enough to say.

A percentile passes if it is below the objective with 95 % confidence and fails if it is above it
with the same; between the two the run was too short. Called by `bench` and `verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from shardwright.model.errors import ExitCode
from shardwright.model.finding import Finding
from shardwright.model.measured import Distribution, Measured
from shardwright.model.plan import Speed
from shardwright.model.request import Slo
from shardwright.verify.artefacts import CLIENT_BOUND, client_bound, in_one_piece
from shardwright.verify.confidence import lower_bound, requests_needed, upper_bound
from shardwright.verify.goodput import goodput_of
from shardwright.verify.repeats import Interval, percentile_interval, pooled
from shardwright.verify.steady import quantile

MAX_ERROR_RATE = 0.01  # more failed requests than this is a fail, whatever the latency


class Outcome(Enum):
    """The answer, and the exit code that says it to a pipeline."""

    PASS = "pass"  # noqa: S105  (an outcome)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> ExitCode:
        """0, 1 or 4."""
        return {
            Outcome.PASS: ExitCode.DONE,
            Outcome.FAIL: ExitCode.VERDICT_NO,
            Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
        }[self]


_MET = {True: Outcome.PASS, False: Outcome.FAIL, None: Outcome.INCONCLUSIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One quantity at a percentile. Seconds; low and high bound it with 95 % confidence each.

    between_runs: where its mean over several runs lies; None for a single run.
    """

    name: str
    percentile: float
    measured_s: float | None
    mean_s: float | None
    low_s: float | None
    high_s: float | None
    objective_s: float | None
    predicted_s: float | None
    outcome: Outcome | None
    reason: str = ""
    between_runs: Interval | None = None

    @property
    def prediction_error(self) -> float | None:
        """Predicted over measured, less one; None if either is unknown."""
        if self.predicted_s is None or not self.measured_s:
            return None
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The whole answer. goodput_per_s: requests a second that met every objective.

    goodput_objective: the share of them that was asked for; goodput_outcome: whether it is reached.
    """

    outcome: Outcome
    terms: tuple[Term, ...]
    error_rate: float
    goodput_per_s: float | None
    goodput_share: float | None
    goodput_objective: float | None
    goodput_outcome: Outcome | None
    output_tokens_per_s: float | None
    output_tokens_per_s_per_gpu: float | None
    predicted_output_tokens_per_s: float | None
    usd_per_million_output_tokens: float | None
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]


def judge(
    measured: Measured | tuple[Measured, ...],
    slo: Slo,
    *,
    predicted: Speed | None = None,
    num_gpus: int | None = None,
    usd_per_hour: float | None = None,
) -> Verdict:
    """Judge a run, or several runs of one load together. Without any objective the outcome rests
    on errors alone.
    """
    runs = measured if isinstance(measured, tuple) else (measured,)
    measured = pooled(runs, slo.percentile)
    terms = (
        _over_runs(_term("ttft", measured, slo.ttft_s, slo.percentile, predicted), runs),
        _over_runs(_term("itl", measured, slo.itl_s, slo.percentile, predicted), runs),
    )
    findings = (*measured.findings, *client_bound(measured), *in_one_piece(measured))
    goodput = goodput_of(measured, slo, runs)
    parts = [(term.name, term.outcome, term.reason) for term in terms]
    if slo.goodput is not None:
        parts.append(("goodput", _MET[goodput.is_met], goodput.reason))
    outcome, reasons = _outcome(measured, parts, findings)
    if outcome is Outcome.PASS and slo.ttft_s is None and slo.itl_s is None:
        reasons = (*reasons, "no objective was given: it says no more than that requests succeed")
    rate = measured.output_tokens_per_s
    return Verdict(
        outcome=outcome,
        terms=terms,
        error_rate=measured.error_rate,
        goodput_per_s=goodput.per_s,
        goodput_share=goodput.share,
        goodput_objective=slo.goodput,
        goodput_outcome=_MET[goodput.is_met] if slo.goodput is not None else None,
        output_tokens_per_s=rate,
        output_tokens_per_s_per_gpu=rate / num_gpus if rate and num_gpus else None,
        predicted_output_tokens_per_s=predicted.output_tokens_per_s if predicted else None,
        usd_per_million_output_tokens=(
            usd_per_hour / 3600 / rate * 1e6 if rate and usd_per_hour is not None else None
        ),
        reasons=reasons,
        findings=findings,
    )


def _term(
    name: str, measured: Measured, objective: float | None, percentile: float, speed: Speed | None
) -> Term:
    summary: Distribution | None = getattr(measured, name)
    values = [v for s in measured.samples if (v := getattr(s, f"{name}_s")) is not None]
    low = lower_bound(values, percentile) if values else None
    high = upper_bound(values, percentile) if values else None
    value = summary.at(percentile) if summary else None
    if value is None and values:
        value = quantile(sorted(values), percentile)
    outcome, reason = _judge_term(measured, value, (low, high), objective, percentile)
    return Term(
        name=name,
        percentile=percentile,
        measured_s=value,
        mean_s=summary.mean if summary else None,
        low_s=low,
        high_s=high,
        objective_s=objective,
        predicted_s=getattr(speed, f"{name}_percentile_s") if speed else None,
        outcome=outcome,
        reason=reason,
    )


def _over_runs(term: Term, runs: tuple[Measured, ...]) -> Term:
    """Take back a judgement that the runs do not share: they differ more than requests do."""
    spread = percentile_interval(runs, term.name, term.percentile)
    if spread is None:
        return term
    known = replace(term, between_runs=spread)
    objective = term.objective_s
    if objective is None or spread.high <= objective or spread.low > objective:
        return known
    reason = (
        f"the {spread.num_runs} runs differ: the mean of their p{term.percentile:g} lies between "
        f"{spread.low * 1e3:.0f} and {spread.high * 1e3:.0f} ms (95 %); do more runs"
    )
    return replace(known, outcome=Outcome.INCONCLUSIVE, reason=reason)


def _judge_term(
    measured: Measured,
    value: float | None,
    bounds: tuple[float | None, float | None],
    objective: float | None,
    percentile: float,
) -> tuple[Outcome | None, str]:
    low, high = bounds
    if objective is None:
        return None, ""
    if value is None:
        why = "the answers were not streamed" if measured.ttft is None else "not in the result file"
        return Outcome.INCONCLUSIVE, f"{why}, so it is not known"
    if low is not None and low > objective:
        return Outcome.FAIL, ""
    if high is not None and high <= objective:
        return Outcome.PASS, ""
    needed = requests_needed(percentile)
    if measured.num_completed < needed:
        return (
            Outcome.INCONCLUSIVE,
            f"{measured.num_completed} requests cannot tell a p{percentile:g}; {needed} can",
        )
    if measured.samples:
        return Outcome.INCONCLUSIVE, "the objective lies within the uncertainty; run longer"
    # a summary without single requests: enough of them, so its own percentile is all there is
    return (Outcome.PASS if value <= objective else Outcome.FAIL), "by the summary alone"


def _outcome(
    measured: Measured,
    parts: list[tuple[str, Outcome | None, str]],
    findings: tuple[Finding, ...],
) -> tuple[Outcome, tuple[str, ...]]:
    if not measured.is_counted:
        return Outcome.INCONCLUSIVE, ("the result does not say of how many requests it is",)
    if measured.num_completed == 0:
        return Outcome.FAIL, ("no request completed",)
    reasons = [f"{name}: {reason}" for name, _, reason in parts if reason]
    outcomes = [outcome for _, outcome, _ in parts]
    if measured.error_rate > MAX_ERROR_RATE:
        reasons.insert(0, f"{measured.error_rate:.1%} of requests failed")
        return Outcome.FAIL, tuple(reasons)
    client = [f.what for f in findings if f.code == CLIENT_BOUND]
    if client:
        return Outcome.INCONCLUSIVE, (*client, *reasons)
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL, tuple(reasons)
    if Outcome.INCONCLUSIVE in outcomes:
        return Outcome.INCONCLUSIVE, tuple(reasons)
    return Outcome.PASS, tuple(reasons)
