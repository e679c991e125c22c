"""A picture as PNG, by Pillow, which brings its own font: the same image on every machine."""

from __future__ import annotations

import io
from typing import Any

from shardwright.model.errors import usage_error
from shardwright.planner.picture import PAPER, Dot, Label, Line, Picture, Rect, Shape

SCALE = 2
"""Pixels of the image per pixel of the picture, as screens of high density want them."""
SMOOTH = 2
"""Painted this much larger and shrunk, so that edges are smooth."""


def to_png(picture: Picture) -> bytes:
    """Paint a picture. Raises ShardwrightError where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise usage_error(
            "png-needs-pillow",
            "a PNG is painted by Pillow, which is not installed",
            remedy="pip install 'shardwright[plot]', or write .svg or .html instead",
        ) from error
    unit = SCALE * SMOOTH
    image = Image.new("RGB", (picture.width * unit, picture.height * unit), PAPER)
    draw = ImageDraw.Draw(image)
    for shape in picture.shapes:
        _paint(draw, shape, unit)
    size = (picture.width * SCALE, picture.height * SCALE)
    out = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


def _paint(draw: Any, s: Shape, unit: int) -> None:
    match s:
        case Rect():
            if s.width * unit >= 1:
                box = (s.x * unit, s.y * unit, (s.x + s.width) * unit - 1, (s.y + s.height) * unit)
                draw.rounded_rectangle(box, radius=s.radius * unit, fill=s.fill)
        case Line():
            points = [(x * unit, y * unit) for x, y in s.points]
            draw.line(points, fill=s.colour, width=round(s.width * unit), joint="curve")
        case Dot():
            if s.has_ring:
                ring = _box(s.x, s.y, s.radius + 5, unit)
                draw.ellipse(ring, outline=s.fill, width=2 * unit)
            draw.ellipse(_box(s.x, s.y, s.radius, unit), fill=s.fill)
        case Label():
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[s.anchor]
            bold = max(1, unit // 5) if s.is_bold else 0  # the font has one weight
            draw.text(
                (s.x * unit, s.y * unit), s.text, fill=s.colour, anchor=anchor,
                font=_font(s.size * unit), stroke_width=bold, stroke_fill=s.colour,
            )  # fmt: skip


def _box(x: float, y: float, radius: float, unit: int) -> tuple[float, float, float, float]:
    return ((x - radius) * unit, (y - radius) * unit, (x + radius) * unit, (y + radius) * unit)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
