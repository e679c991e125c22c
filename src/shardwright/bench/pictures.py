"""Pictures of one load: how latencies are distributed, what the engine did over time, its start."""

from __future__ import annotations

from html import escape

from shardwright.bench.curve import scoped
from shardwright.bench.endpoint import Startup
from shardwright.bench.scale import nice_ceiling, seconds, ticks, whole_ticks
from shardwright.bench.server import Scrape

WIDTH, LEFT, RIGHT = 640, 56, 16
NUM_BINS = 40
_STYLE = scoped(
    "sw-picture",
    "text{font:11px system-ui,sans-serif;fill:#5a6577}|.t{font-weight:600;font-size:13px;"
    "fill:#1c2330}|.bar{fill:#1f5fb4;opacity:.85}|.x{stroke:#9aa5b8;fill:none}|"
    ".g{stroke:#e3e7ee;fill:none}|.o{stroke:#b3261e;stroke-dasharray:2 3;fill:none}|"
    ".q{stroke:#1c2330;fill:none}|.run{stroke:#1f5fb4;stroke-width:1.5;fill:none}|"
    ".wait{stroke:#c2571a;stroke-width:1.5;fill:none}|.kv{stroke:#2f7d4f;stroke-width:1.5;"
    "fill:none}|.s0{fill:#9db7dd}|.s1{fill:#5f8fd0}|.s2{fill:#1f5fb4}",
    "text{fill:#9aa6ba}|.t{fill:#e6eaf2}|.bar{fill:#6ea8ff}|.g{stroke:#2b3445}|.o{stroke:#ff8078}|"
    ".q{stroke:#e6eaf2}|.run{stroke:#6ea8ff}|.wait{stroke:#f0955a}|.kv{stroke:#6fd39a}",
)


def histogram(values: list[float], most: float, num_bins: int) -> list[int]:
    """Count values in equal bins from zero to `most`.

    >>> histogram([0.0, 0.1, 0.9, 1.0], 1.0, 2)
    [2, 2]
    """
    counts = [0] * num_bins
    for value in values:
        counts[min(num_bins - 1, int(value / most * num_bins))] += 1
    return counts


def draw_histogram(
    title: str, values: list[float], marks: tuple[tuple[str, float], ...], objective_s: float | None
) -> str:
    """Draw how many requests took how long; marks: percentiles to point out."""
    height, top, bottom = 190, 62, 26
    most = nice_ceiling(max([*values, objective_s or 0.0]))
    counts = histogram(values, most, NUM_BINS)
    tallest = max(counts) or 1
    plot, wide = height - top - bottom, WIDTH - LEFT - RIGHT
    body = [_text(LEFT, 16, f"{title}: {len(values)} requests", "t")]
    for index, count in enumerate(counts):
        if count:
            tall = plot * count / tallest
            body.append(
                f'<rect class="bar" x="{LEFT + wide * index / NUM_BINS + 0.5:.1f}" '
                f'y="{height - bottom - tall:.1f}" width="{wide / NUM_BINS - 1:.1f}" '
                f'height="{tall:.1f}"><title>{count} requests</title></rect>'
            )
    body.append(_text(LEFT - 6, top + 4, str(tallest), "", "end"))
    body += _bottom(most, height - bottom, wide)
    lines = [("q", f"{name} {seconds(value)}", value) for name, value in marks]
    if objective_s is not None:
        lines.insert(0, ("o", f"objective {seconds(objective_s)}", objective_s))
    for row, (kind, words, value) in enumerate(lines):
        x, y = LEFT + wide * value / most, 34 + 13 * row
        body.append(f'<path class="{kind}" d="M{x:.1f},{y - 8}V{height - bottom}"/>')
        is_right = x > WIDTH * 0.7
        body.append(
            _text(x - 4 if is_right else x + 4, y, words, "", "end" if is_right else "start")
        )
    return _svg(title, height, body)


def draw_engine(scrapes: tuple[Scrape, ...]) -> str:
    """Draw requests running and waiting, and the KV cache in use, over the run."""
    height, top, bottom = 190, 40, 26
    plot, wide = height - top - bottom, WIDTH - LEFT - RIGHT - 30
    end = max(s.at_s for s in scrapes) or 1.0
    marks = whole_ticks(max(max(s.running or 0, s.waiting or 0) for s in scrapes))
    most = marks[-1]
    body = [_text(LEFT, 16, "What the engine did", "t")]
    legend = (("run", "running"), ("wait", "waiting"), ("kv", "KV cache in use (right)"))
    for index, (kind, word) in enumerate(legend):
        x = LEFT + 100 * index
        body += [f'<path class="{kind}" d="M{x},30h18"/>', _text(x + 24, 34, word)]
    for value in marks:
        y = height - bottom - plot * value / most
        body.append(f'<path class="g" d="M{LEFT},{y:.1f}h{wide}"/>')
        body.append(_text(LEFT - 6, y + 4, f"{value:g}", "", "end"))
    for share in (0.0, 0.5, 1.0):
        body.append(_text(LEFT + wide + 6, height - bottom - plot * share + 4, f"{share:.0%}"))
    series = (
        ("run", [(s.at_s, s.running / most) for s in scrapes if s.running is not None]),
        ("wait", [(s.at_s, s.waiting / most) for s in scrapes if s.waiting is not None]),
        ("kv", [(s.at_s, s.kv_usage) for s in scrapes if s.kv_usage is not None]),
    )
    for kind, points in series:
        if points:
            path = "L".join(
                f"{LEFT + wide * t / end:.1f},{height - bottom - plot * v:.1f}" for t, v in points
            )
            body.append(f'<path class="{kind}" d="M{path}"/>')
    body.append(f'<path class="x" d="M{LEFT},{top}V{height - bottom}h{wide}"/>')
    body.append(_text(LEFT, height - 8, "0"))
    body.append(_text(LEFT + wide, height - 8, f"{seconds(end)} into the run", "", "end"))
    return _svg("What the engine did over the run", height, body)


def draw_startup(steps: tuple[Startup, ...]) -> str:
    """Draw the start of the group as bars on one time axis."""
    row, top = 26, 30
    height = top + row * len(steps) + 26
    most = nice_ceiling(max(s.end_s for s in steps) or 1.0)
    left = 190
    wide = WIDTH - left - RIGHT - 50
    body = [_text(8, 16, f"Start-up: {seconds(steps[-1].end_s)}", "t")]
    for index, step in enumerate(steps):
        y, x = top + row * index, left + wide * step.start_s / most
        size = max(1.5, wide * (step.end_s - step.start_s) / most)
        body.append(_text(left - 8, y + 14, step.name, "", "end"))
        body.append(
            f'<rect class="s{index % 3}" x="{x:.1f}" y="{y + 3}" width="{size:.1f}" height="16" '
            'rx="2"/>'
        )
        body.append(_text(x + size + 5, y + 15, seconds(step.end_s - step.start_s) or "0"))
    return _svg("Start-up of the group", height, body)


def _bottom(most: float, y: float, wide: float) -> list[str]:
    out = [f'<path class="x" d="M{LEFT},{y}h{wide}"/>']
    for value in ticks(most):
        x = LEFT + wide * value / most
        anchor = "end" if value == most else "middle"
        out.append(_text(x, y + 16, seconds(value), "", anchor))
    return out


def _svg(title: str, height: int, body: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sw-picture" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<style>{_STYLE}</style>{''.join(body)}</svg>\n"
    )


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}{where}>{escape(words)}</text>'
