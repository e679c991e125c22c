"""The throughput-latency curve of a sweep, measured beside predicted: SVG, and a text line."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 36, 52
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One load: concurrency, tokens per second of the whole endpoint, a latency in seconds."""

    concurrency: int
    tokens_per_s: float
    latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What is drawn. objective_s: a horizontal line; None for none."""

    title: str
    measured: tuple[Point, ...]
    predicted: tuple[Point, ...] = ()
    objective_s: float | None = None


def sparkline(values: list[float]) -> str:
    """Draw values as eighths of a line.

    >>> sparkline([0.0, 0.5, 1.0])
    '▁▅█'
    """
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BARS[round((v - low) / span * 7)] for v in values)


def draw_curve(curve: Curve) -> str:
    """Draw latency over throughput; points carry their concurrency, the prediction is dashed."""
    points = (*curve.measured, *curve.predicted)
    most_x = max((p.tokens_per_s for p in points), default=1.0) * 1.1 or 1.0
    heights = [p.latency_s for p in points] + [curve.objective_s or 0.0]
    most_y = max(heights) * 1.15 or 1.0

    def at(point: Point) -> tuple[float, float]:
        return _x(point.tokens_per_s, most_x), _y(point.latency_s, most_y)

    body = [_label(LEFT, 20, curve.title, "t"), *_axes(most_x, most_y)]
    if curve.objective_s is not None:
        y = _y(curve.objective_s, most_y)
        body.append(f'<path class="o" d="M{LEFT},{y:.1f}H{WIDTH - RIGHT}"/>')
        body.append(_label(LEFT + 6, y - 5, f"objective {curve.objective_s * 1e3:g} ms", "d"))
    for kind, series in (("p", curve.predicted), ("m", curve.measured)):
        if not series:
            continue
        path = "L".join(f"{x:.1f},{y:.1f}" for x, y in map(at, series))
        body.append(f'<path class="{kind}" d="M{path}"/>')
        for point in series:
            x, y = at(point)
            body.append(f'<circle class="c{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
            if kind == "m":
                body.append(_label(x + 6, y - 6, str(point.concurrency), "d"))
    body.append(_label(WIDTH - RIGHT - 190, 20, "— measured   - - predicted", "d"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(curve.title)}"><style>{_STYLE}</style>{"".join(body)}</svg>\n'
    )


_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1c2330}.t{font-weight:600;font-size:14px}"
    ".d{fill:#5a6577;font-size:11px}.x{stroke:#9aa5b8;fill:none}.g{stroke:#e3e7ee;fill:none}"
    ".m{stroke:#1f5fb4;stroke-width:2;fill:none}.cm{fill:#1f5fb4}"
    ".p{stroke:#c2571a;stroke-width:1.5;stroke-dasharray:5 4;fill:none}.cp{fill:#c2571a}"
    ".o{stroke:#b3261e;stroke-dasharray:2 3;fill:none}"
)


def _axes(most_x: float, most_y: float) -> list[str]:
    out = []
    for i in range(5):
        x, y = LEFT + (WIDTH - LEFT - RIGHT) * i / 4, HEIGHT - BOTTOM - _plot_height() * i / 4
        out.append(f'<path class="g" d="M{LEFT},{y:.1f}H{WIDTH - RIGHT}"/>')
        out.append(_label(8, y + 4, f"{most_y * i / 4 * 1e3:.4g} ms", "d"))
        out.append(_label(x - 10, HEIGHT - BOTTOM + 18, f"{most_x * i / 4:.4g}", "d"))
    out.append(f'<path class="x" d="M{LEFT},{TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    out.append(_label(LEFT + 150, HEIGHT - 12, "output tokens/s; labels: concurrency", "d"))
    return out


def _plot_height() -> int:
    return HEIGHT - TOP - BOTTOM


def _x(value: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / most


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - _plot_height() * value / most


def _label(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'
