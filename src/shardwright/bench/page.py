"""A bench as one self-contained page: no script, no font, no picture comes from anywhere else."""

from __future__ import annotations

import base64
from html import escape

from shardwright.bench.curve import draw_curve
from shardwright.bench.pictures import draw_engine, draw_histogram, draw_startup
from shardwright.bench.report import (
    COLUMNS,
    OUTCOME_WORDS,
    TERMS,
    Bench,
    conclusion,
    curve_of,
    explanations,
    row_of,
)
from shardwright.bench.run import Run
from shardwright.bench.scale import seconds
from shardwright.bench.style import STYLE
from shardwright.verify.verdict import Outcome, Term

_STATES = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.INCONCLUSIVE: "unsure"}


def html(bench: Bench) -> str:
    """Write the page."""
    run = bench.shown
    parts = [
        _head(bench),
        f'<section class="cards">{"".join(_cards(run))}</section>',
        _advice(bench),
        _section(_curve_title(bench), _curves(bench)),
        _section("Latency of single requests", _distributions(run)),
        _section("What explains it", _explained(bench)),
        _section("Loads", _loads(bench)),
        _section("Against the baseline", _changes(bench)),
        _section("Start-up", _wide([draw_startup(bench.startup)]) if bench.startup else ""),
        _section("Topology", _picture(bench.topology_svg, "Nodes, GPUs, stages and links")),
        _section("Plan", f"<pre>{escape(bench.plan)}</pre>" if bench.plan else ""),
        _section("Spec", f"<pre>{escape(bench.spec)}</pre>" if bench.spec else ""),
        _section("Environment", _table(("", ""), bench.environment, "facts")),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(bench.name)}: {bench.outcome.value}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(bench: Bench) -> str:
    run = bench.shown
    facts = dict(bench.environment)
    note = f"<p>{escape(bench.note)}</p>" if bench.note else ""
    under = [run.scenario.load, run.scenario.lengths, *(facts[k] for k in ("date",) if k in facts)]
    return (
        f'<header><p class="kind">Bench</p><h1>{escape(bench.name)} '
        f'<span class="badge {bench.outcome.value}">{bench.outcome.value}</span></h1>'
        f'<p class="lead">{escape(conclusion(bench))}</p>{note}'
        f'<p class="under">{escape(" · ".join(under))}</p></header>'
    )


def _cards(run: Run) -> list[str]:
    verdict, measured = run.verdict, run.measured
    out = [_term_card(term) for term in verdict.terms if term.measured_s is not None]
    rate = verdict.output_tokens_per_s
    if rate is not None:
        notes = []
        if verdict.output_tokens_per_s_per_gpu is not None:
            notes.append(f"{verdict.output_tokens_per_s_per_gpu:,.1f} per GPU")
        if verdict.predicted_output_tokens_per_s is not None:
            notes.append(f"predicted {verdict.predicted_output_tokens_per_s:,.0f}")
        out.append(_card("Throughput", f"{rate:,.1f}", "tokens/s", notes))
    if verdict.goodput_share is not None and any(t.objective_s for t in verdict.terms):
        notes = [f"{verdict.goodput_per_s:.2f} requests/s"] if verdict.goodput_per_s else []
        notes.append("requests that met every objective")
        state = _STATES[verdict.goodput_outcome] if verdict.goodput_outcome else ""
        if verdict.goodput_objective is not None and verdict.goodput_outcome is not None:
            asked = f"{verdict.goodput_objective * 100:.4g}%"
            notes.insert(0, f"objective {asked}: {OUTCOME_WORDS[verdict.goodput_outcome]}")
        out.append(_card("Goodput", f"{verdict.goodput_share:.0%}", "", notes, state))
    total = measured.num_completed + measured.num_failed
    total += measured.window.num_left_out if measured.window else 0
    state = "bad" if measured.num_failed else ""
    notes = [f"{measured.num_failed} of {total} requests"]
    out.append(_card("Failed", f"{verdict.error_rate:.1%}", "", notes, state))
    if verdict.usd_per_million_output_tokens is not None:
        cost = f"{verdict.usd_per_million_output_tokens:,.2f}"
        out.append(_card("Cost", cost, "USD", ["per million output tokens"]))
    return out


def _term_card(term: Term) -> str:
    notes = []
    if term.low_s is not None and term.high_s is not None:
        notes.append(f"{seconds(term.low_s)} to {seconds(term.high_s)} with 95 % confidence")
    elif term.low_s is not None and term.outcome is Outcome.FAIL:
        notes.append(f"at least {seconds(term.low_s)} with 95 % confidence")
    if term.between_runs is not None:
        spread = term.between_runs
        notes.append(
            f"{seconds(max(spread.low, 0.0))} to {seconds(spread.high)} over {spread.num_runs} runs"
        )
    if term.predicted_s is not None and term.prediction_error is not None:
        notes.append(f"predicted {seconds(term.predicted_s)} ({term.prediction_error:+.0%})")
    kind = _STATES[term.outcome] if term.outcome else ""
    if term.objective_s is not None and term.outcome is not None:
        notes.insert(0, f"objective {seconds(term.objective_s)}: {OUTCOME_WORDS[term.outcome]}")
    number, _, unit = seconds(term.measured_s or 0.0).partition(" ")
    return _card(f"{TERMS[term.name]}, p{term.percentile:g}", number, unit, notes, kind)


def _card(name: str, number: str, unit: str, notes: list[str], kind: str = "") -> str:
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<article class="card {kind}"><h2>{escape(name)}</h2>'
        f"<p><b>{escape(number)}</b> {escape(unit)}</p><ul>{lines}</ul></article>"
    )


def _advice(bench: Bench) -> str:
    if not bench.advice:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in bench.advice)
    return f'<section class="advice"><h2>What would mend it</h2><ol>{lines}</ol></section>'


def _curve_title(bench: Bench) -> str:
    is_predicted = any(r.verdict.predicted_output_tokens_per_s for r in bench.runs)
    return "Measured beside predicted" if is_predicted else "Latency over throughput"


def _curves(bench: Bench) -> str:
    if not bench.is_sweep and len(bench.runs) < 2:
        return ""
    drawn = [draw_curve(curve_of(bench, name)) for name in ("itl", "ttft")]
    return f'<div class="pair">{_wide(drawn)}</div>'


def _distributions(run: Run) -> str:
    samples = run.measured.samples
    out = []
    for term in run.verdict.terms:
        values = [v for s in samples if (v := getattr(s, f"{term.name}_s")) is not None]
        summary = getattr(run.measured, term.name)
        if not values or summary is None:
            continue
        marks = tuple(
            (f"p{rank:g}", value)
            for rank in (50.0, term.percentile)
            if (value := summary.at(rank)) is not None
        )
        out.append(draw_histogram(TERMS[term.name], values, marks, term.objective_s))
    window = run.measured.window
    note = "every request of the trace"
    if not run.scenario.trace:
        note = "every request of the run: it is too short to have a steady state that tells more"
    if window is not None:
        when = f"from {seconds(window.start_s)} to {seconds(window.end_s)} of the run"
        if window.num_runs > 1:
            when = f"{seconds(window.end_s)} of {window.num_runs} runs together"
        left_out = f"requests before and after are left out ({window.num_left_out})"
        note = f"steady state, {when}; {left_out}"
    if not out:
        return ""
    return f'<p class="under">{escape(note)}</p><div class="pair">{_wide(out)}</div>'


def _explained(bench: Bench) -> str:
    lines = [(run, line) for run in bench.runs for line in explanations(run)]
    several = len(bench.runs) > 1
    items = "".join(
        f"<li>{escape(f'{run.scenario.load}: ' if several else '')}{escape(line)}</li>"
        for run, line in lines
    )
    server = bench.shown.server
    picture = _wide([draw_engine(server.scrapes)]) if server and len(server.scrapes) > 2 else ""
    return (f"<ul>{items}</ul>" if items else "") + picture


def _wide(pictures: list[str]) -> str:
    """Let a picture scroll sideways where it would be too small to read."""
    return "".join(f'<div class="scroll">{picture}</div>' for picture in pictures)


def _loads(bench: Bench) -> str:
    return _table(COLUMNS, tuple(tuple(row_of(run)) for run in bench.runs), "loads")


def _changes(bench: Bench) -> str:
    if not bench.changes:
        return ""
    rows = tuple(
        (c.name, f"{c.before:.4g}", f"{c.after:.4g}", f"{c.after / c.before - 1:+.1%}",
         "worse than allowed" if c.is_regression else "ok")
        for c in bench.changes
    )  # fmt: skip
    return _table(("figure", "before", "after", "change", ""), rows, "loads")


def _table(names: tuple[str, ...], rows: tuple[tuple[str, ...], ...], kind: str) -> str:
    head = "".join(f"<th>{escape(n)}</th>" for n in names) if any(names) else ""
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table class="{kind}"><tr>{head}</tr>{body}</table></div>'


def _cell(text: str) -> str:
    outcomes = {o.value for o in Outcome}
    return f'<span class="badge {text}">{text}</span>' if text in outcomes else escape(text)


def _picture(svg: str | None, words: str) -> str:
    """Embed a foreign picture as data, so that its style stays its own."""
    if not svg:
        return ""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img class="sheet" alt="{escape(words)}" src="data:image/svg+xml;base64,{data}">'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""
