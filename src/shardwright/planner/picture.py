"""Shapes a picture is made of, and the picture as SVG. PNG: `shardwright.planner.raster`."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

INK, FAINT, LINE, FIELD, PAPER = "#1c2330", "#5a6577", "#c3cad6", "#eef1f6", "#ffffff"
_DARK = {INK: "#e8ecf3", FAINT: "#a7b1c2", LINE: "#4a5567", FIELD: "#232b38", PAPER: "#141a24"}
_CLASS = {INK: "i", FAINT: "f", LINE: "l", FIELD: "b", PAPER: "p"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect:
    """A filled box, pixels from the top left corner. tip: what it is, in words."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    tip: str = ""
    radius: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A path through points."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A filled circle, with a ring around it where it is the one that matters."""

    x: float
    y: float
    radius: float
    fill: str
    tip: str = ""
    has_ring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Text on a baseline. anchor: start, middle or end of the text stands at x."""

    x: float
    y: float
    text: str
    colour: str = INK
    size: int = 13
    is_bold: bool = False
    anchor: str = "start"


Shape = Rect | Line | Dot | Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Shapes on a field of some size, painted in order."""

    title: str
    width: int
    height: int
    shapes: tuple[Shape, ...] = field(default_factory=tuple)


def text_width(text: str, size: int) -> float:
    """Return about how wide a text is, pixels: a system font's mean advance.

    >>> text_width("abcd", 10)
    22.0
    """
    return 0.55 * size * len(text)


def to_svg(picture: Picture) -> str:
    """Write a picture as SVG that follows the reader's light or dark; same picture, same bytes."""
    w, h = picture.width, picture.height
    label = escape(picture.title, quote=True)
    body = "\n".join(_shape(s) for s in picture.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
        f'role="img" aria-label="{label}"><style>{_style()}</style>\n'
        f'<rect class="p" width="{w}" height="{h}"/>\n{body}\n</svg>\n'
    )


def _style() -> str:
    def rules(of: dict[str, str]) -> str:
        return "".join(
            f".{_CLASS[c]}{{fill:{of[c]}}}.s{_CLASS[c]}{{stroke:{of[c]}}}" for c in _CLASS
        )

    light = rules({c: c for c in _CLASS})
    dark = f"@media(prefers-color-scheme:dark){{{rules(_DARK)}}}"
    return f"text{{font-family:system-ui,sans-serif}}.n{{fill:none}}{light}{dark}"


def _fill(colour: str) -> str:
    return f'class="{_CLASS[colour]}"' if colour in _CLASS else f'fill="{colour}"'


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def _shape(s: Shape) -> str:
    match s:
        case Rect():
            round_ = f' rx="{s.radius:g}"' if s.radius else ""
            at = f'x="{s.x:.1f}" y="{s.y:.1f}" width="{s.width:.1f}" height="{s.height:.1f}"'
            return f"<rect {_fill(s.fill)} {at}{round_}>{_tip(s.tip)}</rect>"
        case Line():
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in s.points)
            known = s.colour in _CLASS
            stroke = f'class="n s{_CLASS[s.colour]}"' if known else f'class="n" stroke="{s.colour}"'
            return f'<path {stroke} stroke-width="{s.width:g}" d="{path}"/>'
        case Dot():
            at = f'cx="{s.x:.1f}" cy="{s.y:.1f}"'
            ring = ""
            if s.has_ring:
                wide = f'{at} r="{s.radius + 4:g}"'
                ring = f'<circle class="n" stroke="{s.fill}" stroke-width="2" {wide}/>'
            return f'{ring}<circle {_fill(s.fill)} {at} r="{s.radius:g}">{_tip(s.tip)}</circle>'
        case Label():
            weight = ' font-weight="600"' if s.is_bold else ""
            anchor = f' text-anchor="{s.anchor}"' if s.anchor != "start" else ""
            at = f'x="{s.x:.1f}" y="{s.y:.1f}" font-size="{s.size}"'
            return f"<text {_fill(s.colour)} {at}{weight}{anchor}>{escape(s.text)}</text>"
