"""Does a measured endpoint meet its objective? Pass, fail, or not enough to say.

A percentile passes if it is below the objective with 95 % confidence and fails if it is above it
with the same; between the two the run was too short. Called by `bench` and `verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from shardwright.model.errors import ExitCode
from shardwright.model.finding import Finding, Severity
from shardwright.model.measured import Distribution, Measured
from shardwright.model.plan import Speed
from shardwright.model.request import Slo
from shardwright.verify.confidence import lower_bound, requests_needed, upper_bound
from shardwright.verify.repeats import Interval, percentile_interval, pooled
from shardwright.verify.steady import quantile

MAX_ERROR_RATE = 0.01  # more failed requests than this is a fail, whatever the latency
CLIENT_BOUND_SHARE = 0.8  # of the asked concurrency that must really be in flight
CLIENT_BOUND_DELAY = 0.1  # of the first-token time that the client itself may add


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
    """The whole answer. goodput_per_s: requests a second that met every objective."""

    outcome: Outcome
    terms: tuple[Term, ...]
    error_rate: float
    goodput_per_s: float | None
    goodput_share: float | None
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
    findings = (*measured.findings, *_client_bound(measured))
    outcome, reasons = _outcome(measured, terms, findings)
    good = _good(measured, slo)
    rate = measured.output_tokens_per_s
    return Verdict(
        outcome=outcome,
        terms=terms,
        error_rate=measured.error_rate,
        goodput_per_s=good / measured.duration_s
        if good is not None and measured.duration_s
        else None,
        goodput_share=_share(good, measured),
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
    measured: Measured, terms: tuple[Term, ...], findings: tuple[Finding, ...]
) -> tuple[Outcome, tuple[str, ...]]:
    if measured.num_completed == 0:
        return Outcome.FAIL, ("no request completed",)
    reasons = [f"{t.name}: {t.reason}" for t in terms if t.reason]
    failed = [t for t in terms if t.outcome is Outcome.FAIL]
    if measured.error_rate > MAX_ERROR_RATE:
        reasons.insert(0, f"{measured.error_rate:.1%} of requests failed")
        return Outcome.FAIL, tuple(reasons)
    client = [f.what for f in findings if f.code == "client-bound"]
    if client:
        return Outcome.INCONCLUSIVE, (*client, *reasons)
    if failed:
        return Outcome.FAIL, tuple(reasons)
    if any(t.outcome is Outcome.INCONCLUSIVE for t in terms):
        return Outcome.INCONCLUSIVE, tuple(reasons)
    return Outcome.PASS, tuple(reasons)


def _client_bound(measured: Measured) -> tuple[Finding, ...]:
    asked, had = measured.concurrency, measured.effective_concurrency
    # the ends of a run are not full: only runs of many rounds tell
    left_out = measured.window.num_left_out if measured.window else 0
    is_long = asked is not None and measured.num_completed + left_out >= 10 * asked
    ttft = measured.ttft.at(50) if measured.ttft else None
    what = None
    if asked and had is not None and is_long and had < CLIENT_BOUND_SHARE * asked:
        what = f"only {had:.1f} of {asked} requests were in flight"
    elif measured.send_delay_s and ttft and measured.send_delay_s > CLIENT_BOUND_DELAY * ttft:
        what = f"requests left the client {measured.send_delay_s * 1e3:.0f} ms late (p95)"
    if what is None:
        return ()
    return (
        Finding(
            code="client-bound",
            severity=Severity.WARNING,
            what=f"the client, not the server, was the limit: {what}",
            remedy="give the load generator more cores, or run it as a Job in the cluster",
        ),
    )


def _good(measured: Measured, slo: Slo) -> int | None:
    unknown = (measured.ttft is None and slo.ttft_s) or (measured.itl is None and slo.itl_s)
    if not measured.samples or unknown:
        return None
    return sum(
        _within(s.ttft_s, slo.ttft_s) and _within(s.itl_s, slo.itl_s) for s in measured.samples
    )


def _within(value: float | None, objective: float | None) -> bool:
    return objective is None or (value is not None and value <= objective)


def _share(good: int | None, measured: Measured) -> float | None:
    """Of all requests: a failed one met nothing. Failures are of the whole run, the rest of its
    steady state, so the two shares are multiplied.
    """
    if good is None or not measured.num_completed:
        return None
    return good / measured.num_completed * (1 - measured.error_rate)
