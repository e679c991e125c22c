"""The throughput-latency curve of a sweep, measured beside predicted: SVG, and a text line."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from shardwright.bench.scale import nice_ceiling, seconds, ticks

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 56, 52
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One load: concurrency, tokens per second of the whole endpoint, a latency in seconds.

    low_s, high_s: bounds of a measured latency; None where they are not known.
    """

    concurrency: int
    tokens_per_s: float
    latency_s: float
    low_s: float | None = None
    high_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What is drawn. objective_s: a horizontal line; None for none. best: the load to point out."""

    title: str
    measured: tuple[Point, ...]
    predicted: tuple[Point, ...] = ()
    objective_s: float | None = None
    best: int | None = None


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
    most_x = nice_ceiling(max((p.tokens_per_s for p in points), default=1.0))
    heights = [p.high_s or p.latency_s for p in points] + [curve.objective_s or 0.0]
    most_y = nice_ceiling(max(heights))

    def at(point: Point) -> tuple[float, float]:
        return _x(point.tokens_per_s, most_x), _y(point.latency_s, most_y)

    body = [_label(LEFT, 20, curve.title, "t"), *_legend(curve), *_axes(most_x, most_y)]
    if curve.objective_s is not None:
        y = _y(curve.objective_s, most_y)
        body.append(f'<path class="o" d="M{LEFT},{y:.1f}H{WIDTH - RIGHT}"/>')
        words = f"objective {seconds(curve.objective_s)}"
        body.append(_label(LEFT + 6, y - 5, words, "d"))  # points are rarely at the left
    for kind, series in (("p", curve.predicted), ("m", curve.measured)):
        if not series:
            continue
        path = "L".join(f"{x:.1f},{y:.1f}" for x, y in map(at, series))
        body.append(f'<path class="{kind}" d="M{path}"/>')
        for point in series:
            body += _mark(point, at(point), kind, most_y, is_best=point.concurrency == curve.best)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sw-curve" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(curve.title)}"><style>{_STYLE}</style>{"".join(body)}'
        "</svg>\n"
    )


_RULES = (
    "text{font:12px system-ui,sans-serif;fill:#1c2330}|.t{font-weight:600;font-size:14px}|"
    ".d{fill:#5a6577;font-size:11px}|.x{stroke:#9aa5b8;fill:none}|.g{stroke:#e3e7ee;fill:none}|"
    ".m{stroke:#1f5fb4;stroke-width:2;fill:none}|circle.m{fill:#1f5fb4;stroke:none}|"
    ".p{stroke:#c2571a;stroke-width:1.5;stroke-dasharray:5 4;fill:none}|"
    "circle.p{fill:#c2571a;stroke:none}|.e{stroke:#1f5fb4;opacity:.45;fill:none}|"
    ".b{stroke:#2f7d4f;stroke-width:2;fill:none}|"
    ".o{stroke:#b3261e;stroke-dasharray:2 3;fill:none}"
)
_DARK = (
    "text{fill:#e6eaf2}|.d{fill:#9aa6ba}|.g{stroke:#2b3445}|.m{stroke:#6ea8ff}|"
    "circle.m{fill:#6ea8ff}|.e{stroke:#6ea8ff}|.p{stroke:#f0955a}|circle.p{fill:#f0955a}|"
    ".o{stroke:#ff8078}|.b{stroke:#6fd39a}"
)


def scoped(name: str, rules: str, dark: str) -> str:
    """Keep the rules of one picture to it: in a page, styles of all pictures apply to all."""
    light = "".join(f".{name} {rule}" for rule in rules.split("|"))
    night = "".join(f".{name} {rule}" for rule in dark.split("|"))
    return f"{light}@media(prefers-color-scheme:dark){{{night}}}"


_STYLE = scoped("sw-curve", _RULES, _DARK)


def _mark(
    point: Point, at: tuple[float, float], kind: str, most_y: float, *, is_best: bool
) -> list[str]:
    x, y = at
    tip = (
        f"{'measured' if kind == 'm' else 'predicted'} at concurrency {point.concurrency}: "
        f"{seconds(point.latency_s)}, {point.tokens_per_s:,.0f} tokens/s"
    )
    out = []
    if point.low_s is not None and point.high_s is not None:
        low, high = _y(point.low_s, most_y), _y(point.high_s, most_y)
        out.append(f'<path class="e" d="M{x:.1f},{low:.1f}V{high:.1f}"/>')
    out.append(
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(tip)}</title>'
        "</circle>"
    )
    if kind == "m":
        # a curve comes from the lower left and leaves to the upper right
        out.append(_label(x - 6, y - 6, str(point.concurrency), "d", "end"))
        if is_best:
            out.append(f'<path class="b" d="M{x - 7:.1f},{y:.1f}a7,7 0 1,0 14,0a7,7 0 1,0 -14,0"/>')
    return out


def _legend(curve: Curve) -> list[str]:
    out = [f'<path class="m" d="M{LEFT},38h24"/>', _label(LEFT + 30, 42, "measured", "d")]
    if curve.predicted:
        out += [
            f'<path class="p" d="M{LEFT + 100},38h24"/>',
            _label(LEFT + 130, 42, "predicted", "d"),
        ]
    if curve.best is not None:
        out.append(_label(LEFT + 200, 42, "○ highest load that meets the objective", "d"))
    return out


def _axes(most_x: float, most_y: float) -> list[str]:
    out = []
    for value in ticks(most_y):
        y = _y(value, most_y)
        out.append(f'<path class="g" d="M{LEFT},{y:.1f}H{WIDTH - RIGHT}"/>')
        out.append(_label(LEFT - 8, y + 4, seconds(value), "d", "end"))
    for value in ticks(most_x):
        x = _x(value, most_x)
        out.append(_label(x, HEIGHT - BOTTOM + 18, f"{value:,.4g}", "d", "middle"))
    out.append(f'<path class="x" d="M{LEFT},{TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    words = "output tokens/s of the endpoint; numbers at points: concurrency"
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    out.append(_label(middle, HEIGHT - 12, words, "d", "middle"))
    return out


def _plot_height() -> int:
    return HEIGHT - TOP - BOTTOM


def _x(value: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / most


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - _plot_height() * value / most


def _label(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{where}>{escape(words)}</text>'
