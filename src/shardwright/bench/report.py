"""What a bench reports, and its Markdown summary for a pull request. The page: bench/page.py."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.bench.compare import Change
from shardwright.bench.curve import Curve, Point
from shardwright.bench.endpoint import Startup
from shardwright.bench.run import Run
from shardwright.bench.scale import seconds
from shardwright.verify.verdict import Outcome, Term

OUTCOME_WORDS = {
    Outcome.PASS: "met", Outcome.FAIL: "missed", Outcome.INCONCLUSIVE: "cannot tell",
}  # fmt: skip
TERMS = {"ttft": "Time to first token", "itl": "Time between tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything a report shows. best: highest concurrency that met the objective, of a sweep.

    advice: what would mend a miss, cheapest first. plan and topology_svg: as the plan has them, if
    there is one; spec: as written. startup: steps of the group's start, where they are known.
    environment: pairs of what the run depends on and its version. note: what the figures are not.
    """

    name: str
    runs: tuple[Run, ...]
    outcome: Outcome
    is_sweep: bool = False
    best: int | None = None
    advice: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    spec: str | None = None
    plan: str | None = None
    topology_svg: str | None = None
    startup: tuple[Startup, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def shown(self) -> Run:
        """The run that stands for the bench: of a sweep the best load, else the first."""
        return next((r for r in self.runs if r.scenario.concurrency == self.best), self.runs[0])


def conclusion(bench: Bench) -> str:
    """Say the answer in one sentence."""
    run = bench.shown
    if bench.is_sweep:
        if bench.best is None:
            lowest = min(bench.runs, key=lambda r: r.scenario.concurrency or 0)
            over = [over_words(t) for t in lowest.verdict.terms if t.outcome is Outcome.FAIL]
            tried = f"the lowest tried was {lowest.scenario.concurrency}"
            if over:
                tried = f"at {lowest.scenario.load}, the lowest tried, {' and '.join(over)}"
            return f"No load was shown to meet the objective; {tried}."
        return f"Meets the objective up to {run.scenario.load}."
    if bench.outcome is Outcome.PASS:
        has = any(t.objective_s is not None for t in run.verdict.terms)
        if not has:
            return f"No objective was given; measured at {run.scenario.load}."
        return f"Meets the objective at {run.scenario.load}."
    if bench.outcome is Outcome.FAIL:
        over = [over_words(t) for t in run.verdict.terms if t.outcome is Outcome.FAIL]
        words = "; ".join(over) or run.verdict.reasons[0]
        return f"Misses the objective at {run.scenario.load}: {words}."
    return f"Cannot tell at {run.scenario.load}: {'; '.join(run.verdict.reasons)}."


def over_words(term: Term) -> str:
    """Say by how much a term is over.

    >>> from shardwright.verify.verdict import Outcome
    >>> over_words(Term(name="itl", percentile=95, measured_s=0.075, mean_s=None, low_s=None,
    ...     high_s=None, objective_s=0.05, predicted_s=None, outcome=Outcome.FAIL))
    'time between tokens is 75.0 ms at p95, 50 % over 50 ms'
    """
    name = TERMS[term.name].lower()
    if term.measured_s is None or term.objective_s is None:
        return f"{name} is not known"
    over = term.measured_s / term.objective_s - 1
    return (
        f"{name} is {term.measured_s * 1e3:.1f} ms at p{term.percentile:g}, {over * 100:.0f} % "
        f"over {seconds(term.objective_s)}"
    )


def curve_of(bench: Bench, name: str) -> Curve:
    """The curve of one term over the loads, measured and predicted."""
    measured, predicted, objective, percentile = [], [], None, 95.0
    for run in bench.runs:
        term = next(t for t in run.verdict.terms if t.name == name)
        objective, percentile = term.objective_s, term.percentile
        load, rate = run.scenario.concurrency, run.measured.output_tokens_per_s
        if load is None:
            continue
        if term.measured_s is not None and rate is not None:
            measured.append(
                Point(
                    concurrency=load, tokens_per_s=rate, latency_s=term.measured_s,
                    low_s=term.low_s, high_s=term.high_s,
                )
            )  # fmt: skip
        foreseen = run.verdict.predicted_output_tokens_per_s
        if term.predicted_s is not None and foreseen is not None:
            predicted.append(
                Point(concurrency=load, tokens_per_s=foreseen, latency_s=term.predicted_s)
            )
    return Curve(
        title=f"{TERMS[name]} (p{percentile:g}) over throughput",
        measured=tuple(measured),
        predicted=tuple(predicted),
        objective_s=objective,
        best=bench.best,
    )


def explanations(run: Run) -> list[str]:
    """Everything that explains a run: why the verdict, what the engine and the GPUs did."""
    server = run.server.explain() if run.server else ()
    gpu = (run.gpu.explain(),) if run.gpu else ()
    noticed = (f.what for f in run.verdict.findings)
    return list(dict.fromkeys((*run.verdict.reasons, *server, *gpu, *noticed)))


def row_of(run: Run) -> list[str]:
    """The cells of a run in a table; their names: COLUMNS."""
    terms = {t.name: t for t in run.verdict.terms}
    rate, share = run.measured.output_tokens_per_s, run.verdict.goodput_share
    window = run.measured.window
    total = run.measured.num_completed + run.measured.num_failed
    total += window.num_left_out if window else 0
    has_objective = any(t.objective_s is not None for t in run.verdict.terms)
    return [
        run.scenario.load,
        str(total),
        str(run.measured.num_failed),
        cell_of(terms["ttft"]),
        cell_of(terms["itl"]),
        "-"
        if rate is None
        else _against(f"{rate:.1f}", rate, run.verdict.predicted_output_tokens_per_s),
        "-" if share is None or not has_objective else f"{share:.0%}",
        run.verdict.outcome.value,
    ]


COLUMNS = ("load", "requests", "failed", "TTFT", "ITL", "tokens/s", "goodput", "verdict")


def cell_of(term: Term) -> str:
    """A term's value with how far the prediction is off."""
    if term.measured_s is None:
        return "-"
    return _against(f"{term.measured_s * 1e3:.1f} ms", term.measured_s, term.predicted_s)


def _against(text: str, measured: float, predicted: float | None) -> str:
    if predicted is None or not measured:
        return text
    return f"{text} (predicted {predicted / measured - 1:+.0%})"


def markdown(bench: Bench) -> str:
    """Write the summary: verdict, a row per load, what explains it, what would mend it."""
    out = [f"## {bench.name}: {bench.outcome.value.upper()}", "", conclusion(bench), ""]
    if bench.note:
        out += [bench.note, ""]
    if bench.best is not None:
        out += [f"Highest concurrency that meets the objective: **{bench.best}**", ""]
    percentile = bench.runs[0].verdict.terms[0].percentile
    heads = [f"{c} p{percentile:g}" if c in ("TTFT", "ITL") else c for c in COLUMNS]
    out.append(f"| {' | '.join(heads)} |")
    out.append("|---" * len(COLUMNS) + "|")
    out += [f"| {' | '.join(row_of(run))} |" for run in bench.runs]
    out.append("")
    for run in bench.runs:
        out += [f"- {run.scenario.load}: {line}" for line in explanations(run)]
    if bench.advice:
        out += ["", "What would mend it:", *(f"- {line}" for line in bench.advice)]
    if bench.changes:
        out += ["", "| against the baseline | before | after | change |", "|---|---|---|---|"]
        out += [
            f"| {c.name} | {c.before:.4g} | {c.after:.4g} | "
            f"{'**WORSE** ' if c.is_regression else ''}{c.after / c.before - 1:+.1%} |"
            for c in bench.changes
        ]
    facts = dict(bench.environment)
    known = [facts[k] for k in ("load tool", "engine", "date") if k in facts]
    out += ["", f"{bench.runs[0].scenario.lengths}; {', '.join(known)}" if known else ""]
    return "\n".join(out).rstrip() + "\n"
