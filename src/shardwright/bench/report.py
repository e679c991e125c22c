"""A bench as one self-contained HTML page, and as Markdown for a pull request."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from shardwright.bench.curve import Curve, Point, draw_curve, sparkline
from shardwright.bench.run import Run
from shardwright.model.measured import Sample
from shardwright.verify.verdict import Outcome, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything a report shows. best: highest concurrency that met the objective, of a sweep.

    predicted: the planner's curve; topology_svg and spec: as the plan has them, if there is one.
    environment: pairs of what the run depends on and its version.
    """

    name: str
    runs: tuple[Run, ...]
    outcome: Outcome
    best: int | None = None
    predicted: tuple[Point, ...] = ()
    spec: str | None = None
    topology_svg: str | None = None
    environment: tuple[tuple[str, str], ...] = ()


def curve_of(bench: Bench, term: str = "itl") -> Curve:
    """The curve of one term over the runs."""
    points, objective = [], None
    for run in bench.runs:
        found = next(t for t in run.verdict.terms if t.name == term)
        objective = found.objective_s
        rate = run.measured.output_tokens_per_s
        load = run.scenario.concurrency
        if found.measured_s is not None and rate is not None and load is not None:
            points.append(Point(concurrency=load, tokens_per_s=rate, latency_s=found.measured_s))
    names = {"itl": "time between tokens", "ttft": "time to first token"}
    return Curve(
        title=f"{names[term]} (p{_percentile(bench):g}) over throughput",
        measured=tuple(points),
        predicted=bench.predicted if term == "itl" else (),
        objective_s=objective,
    )


def markdown(bench: Bench) -> str:
    """Write the summary: verdict, a row per run, what explains it."""
    out = [f"## {bench.name}: {bench.outcome.value.upper()}", ""]
    if bench.best is not None:
        out += [f"Highest concurrency that meets the objective: **{bench.best}**", ""]
    out.append("| load | requests | failed | TTFT | ITL | tokens/s | goodput | verdict |")
    out.append("|---|---|---|---|---|---|---|---|")
    for run in bench.runs:
        cells = _row(run)
        out.append(f"| {' | '.join(cells)} |")
    out.append("")
    for run in bench.runs:
        out += [f"- {run.scenario.load}: {line}" for line in _explanations(run)]
    return "\n".join(out).rstrip() + "\n"


def html(bench: Bench) -> str:
    """Write the page; it asks nothing of the network."""
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in _row(run))}</tr>" for run in bench.runs
    )
    explained = "".join(
        f"<li>{escape(run.scenario.load)}: {escape(line)}</li>"
        for run in bench.runs
        for line in _explanations(run)
    )
    best = (
        f"<p>Highest concurrency that meets the objective: <b>{bench.best}</b></p>"
        if bench.best is not None
        else ""
    )
    curves = ""
    if len(bench.runs) > 1:
        curves = draw_curve(curve_of(bench, "itl")) + draw_curve(curve_of(bench, "ttft"))
    environment = "".join(
        f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in bench.environment
    )
    spec = f"<h2>Spec</h2><pre>{escape(bench.spec)}</pre>" if bench.spec else ""
    topology = f"<h2>Topology</h2>{bench.topology_svg}" if bench.topology_svg else ""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{escape(bench.name)}: bench</title>
<style>{_STYLE}</style><h1>{escape(bench.name)} <span class="{bench.outcome.value}">\
{bench.outcome.value}</span></h1>{best}
<table><tr><th>load<th>requests<th>failed<th>TTFT<th>ITL<th>tokens/s<th>goodput<th>verdict</tr>
{rows}</table><ul>{explained}</ul>{curves}
<h2>Latency over requests</h2>{"".join(_histograms(run) for run in bench.runs)}
{topology}{spec}<h2>Environment</h2><table>{environment}</table></html>
"""


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem;"
    "color:#1c2330}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .75rem;"
    "border-bottom:1px solid #e3e7ee;text-align:left}pre{background:#f4f6fa;padding:1rem;"
    "overflow:auto}h1 span{font-size:1rem;padding:.2rem .6rem;border-radius:1rem;color:#fff}"
    ".pass{background:#2f7d4f}.fail{background:#b3261e}.inconclusive{background:#8a6d00}"
    "svg{max-width:100%;height:auto}.spark{font-family:monospace}"
)


def _percentile(bench: Bench) -> float:
    return bench.runs[0].verdict.terms[0].percentile if bench.runs else 95.0


def _row(run: Run) -> list[str]:
    terms = {t.name: t for t in run.verdict.terms}
    rate, share = run.measured.output_tokens_per_s, run.verdict.goodput_share
    return [
        run.scenario.load,
        str(run.measured.num_completed + run.measured.num_failed),
        str(run.measured.num_failed),
        _cell(terms["ttft"]),
        _cell(terms["itl"]),
        "-" if rate is None else f"{rate:.1f}",
        "-" if share is None else f"{share:.0%}",
        run.verdict.outcome.value,
    ]


def _cell(term: Term) -> str:
    if term.measured_s is None:
        return "-"
    text = f"{term.measured_s * 1e3:.1f} ms"
    error = term.prediction_error
    return text if error is None else f"{text} (predicted {error:+.0%})"


def _explanations(run: Run) -> list[str]:
    server = run.server.explain() if run.server else ()
    return [*run.verdict.reasons, *server, *(f.what for f in run.verdict.findings)]


def _histograms(run: Run) -> str:
    lines = []
    for name, pick in (("TTFT", _ttft), ("ITL", _itl)):
        values = sorted(v for s in run.measured.samples if (v := pick(s)) is not None)
        if values:
            bars = sparkline([float(n) for n in histogram(values, 40)])
            lines.append(
                f'<div>{escape(run.scenario.load)} {name} <span class="spark">{bars}</span> '
                f"{values[0] * 1e3:.1f} to {values[-1] * 1e3:.1f} ms</div>"
            )
    return "".join(lines)


def histogram(values: list[float], num_bins: int) -> list[int]:
    """Count values in equal bins from the least to the greatest.

    >>> histogram([0.0, 0.1, 0.9, 1.0], 2)
    [2, 2]
    """
    low, span = min(values), (max(values) - min(values)) or 1.0
    counts = [0] * num_bins
    for value in values:
        counts[min(num_bins - 1, int((value - low) / span * num_bins))] += 1
    return counts


def _ttft(sample: Sample) -> float | None:
    return sample.ttft_s


def _itl(sample: Sample) -> float | None:
    return sample.itl_s
