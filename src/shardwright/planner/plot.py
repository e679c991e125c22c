"""A plan as one self-contained picture: memory of each stage's GPU, and the front of layouts.

The front is tokens/s per GPU against tokens/s per user: up and to the right is better, and no
layout at any load on it is beaten in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from shardwright.model.plan import Alternative, Plan, RankMemory
from shardwright.model.units import GIB, gib
from shardwright.planner.explain import parts
from shardwright.planner.picture import (
    FAINT,
    FIELD,
    LINE,
    PAPER,
    Dot,
    Label,
    Line,
    Picture,
    Rect,
    Shape,
    text_width,
    to_svg,
)

WIDTH = 900
PAD = 28
BAR_HEIGHT = 30
BAR_GAP = 12
LABEL_WIDTH = 76
TOTAL_WIDTH = 76
FRONT_HEIGHT = 340
AXIS = 62
MOST_BARS = 12
"""Stages drawn; of more, the first ones: inner stages differ little."""

_COLOURS = {
    "weights": "#3b6fb6", "activation": "#d0752b", "runtime": "#8273ab", "graphs": "#b8962e",
    "KV cache": "#2f8a57",
}  # fmt: skip
_CHOSEN = "#c2401a"
_SERIES = ("#3b6fb6", "#2f8a57", "#8273ab", "#b8962e", "#4a98a8", "#a8558c", "#6b7a3f", "#7a5c48")


def picture_of(title: str, plan: Plan) -> Picture:
    """Lay out the picture of a plan."""
    shapes: list[Shape] = [Label(x=PAD, y=PAD + 14, text=title, size=18, is_bold=True)]
    y = PAD + 38
    if subtitle := _subtitle(plan):
        shapes.append(Label(x=PAD, y=y, text=subtitle, colour=FAINT))
        y += 14
    if plan.memory:
        y += 22
        head = "Memory of the fullest GPU of each stage"
        shapes.append(Label(x=PAD, y=y, text=head, size=14, is_bold=True))
        y += 14
        for rank in plan.memory[:MOST_BARS]:
            shapes += _bar(rank, y)
            y += BAR_HEIGHT + BAR_GAP
        shapes += _legend(plan.memory, y + 6)
        y += 34
    if plan.front:
        y += 30
        head = "Output tokens/s per GPU (up) against tokens/s per user (right)"
        shapes.append(Label(x=PAD, y=y, text=head, size=14, is_bold=True))
        note = (
            "the best of all layouts at all loads, estimated in closed form; this plan as replayed"
        )
        shapes.append(Label(x=PAD, y=y + 18, text=note, colour=FAINT, size=12))
        shapes += _front(plan, y + 36)
        y += FRONT_HEIGHT + 36
    return Picture(title=title, width=WIDTH, height=y + PAD, shapes=tuple(shapes))


def plot_html(title: str, plan: Plan, text: str) -> str:
    """Return a page with the picture and the plan in words."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        "<style>body{max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark;"
        "font:15px system-ui,sans-serif}pre{overflow-x:auto}svg{max-width:100%;height:auto}</style>"
        f"</head><body>\n{to_svg(picture_of(title, plan))}<pre>{escape(text)}</pre>\n"
        "</body></html>\n"
    )


def _subtitle(plan: Plan) -> str:
    said = [f"{plan.layout.num_gpus} GPUs on {plan.num_nodes} nodes"]
    if plan.speed:
        s = plan.speed
        said.append(f"TTFT {s.ttft_s * 1e3:,.0f} ms, ITL {s.itl_s * 1e3:.1f} ms")
        said.append(f"{s.output_tokens_per_s:,.0f} output tokens/s ({s.origin.value})")
    if plan.cost:
        said.append(f"{plan.cost.usd_per_hour:,.2f} dollars an hour")
    return "   ".join(said)


def _bar(rank: RankMemory, y: float) -> list[Shape]:
    """Draw one GPU; what runs over its memory is cut at the edge and said in the tip."""
    x, width = PAD + LABEL_WIDTH, WIDTH - 2 * PAD - LABEL_WIDTH - TOTAL_WIDTH
    middle = y + BAR_HEIGHT / 2 + 5
    out: list[Shape] = [
        Label(x=PAD, y=middle, text=f"stage {rank.stage}"),
        Rect(x=x, y=y, width=width, height=BAR_HEIGHT, fill=FIELD),
        Label(x=WIDTH - PAD, y=middle, text=gib(rank.total_bytes), colour=FAINT, anchor="end"),
    ]
    done = 0
    for _, word, size in parts(rank):
        start = min(done, rank.total_bytes)
        done += max(0, size)
        share = (min(done, rank.total_bytes) - start) / rank.total_bytes
        left = x + width * start / rank.total_bytes
        tip = f"{word}: {gib(size)} of {gib(rank.total_bytes)}"
        out.append(
            Rect(x=left, y=y, width=width * share, height=BAR_HEIGHT, fill=_COLOURS[word], tip=tip)
        )
        text = f"{word} {gib(size)}"
        if text_width(text, 13) + 16 < width * share:
            out.append(Label(x=left + 9, y=middle, text=text, colour=PAPER))
    edge = x + width * min(1.0, rank.budget_bytes / rank.total_bytes)
    out.append(Line(points=((edge, y - 4), (edge, y + BAR_HEIGHT + 4)), colour=FAINT, width=1.5))
    return out


def _legend(memory: Sequence[RankMemory], y: float) -> list[Shape]:
    tight = min(memory, key=lambda r: r.kv_cache_bytes)
    out: list[Shape] = []
    x = float(PAD + LABEL_WIDTH)
    for _, word, size in parts(tight):
        out.append(Rect(x=x, y=y, width=11, height=11, fill=_COLOURS[word], radius=2))
        label = f"{word} {size / GIB:.1f}"
        out.append(Label(x=x + 17, y=y + 10, text=label, colour=FAINT, size=12))
        x += 40 + text_width(label, 12)
    out.append(Label(x=x, y=y + 10, text="| the engine's share, GiB", colour=FAINT, size=12))
    return out


def ticks(most: float, about: int = 5) -> list[float]:
    """Return round numbers from 0 up to a figure, about so many.

    >>> ticks(47.0)
    [0.0, 10.0, 20.0, 30.0, 40.0]
    """
    rough = max(most, 1e-9) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * f for f in (1, 2, 5, 10) if size * f >= rough * 0.95)
    return [i * step for i in range(int(most / step) + 1)]


def _front(plan: Plan, y: float) -> list[Shape]:
    """Draw the front with axes from zero, and the plan's own point with a ring."""
    own = _own_point(plan)
    points = [*plan.front, *([own] if own else [])]
    right = max(a.output_tokens_per_s_per_user for a in points) * 1.12
    top = max(a.output_tokens_per_s_per_gpu for a in points) * 1.08
    x0, y0 = float(PAD + AXIS), y + FRONT_HEIGHT - 52
    width, height = WIDTH - 2 * PAD - AXIS - 40, FRONT_HEIGHT - 52

    def place(a: Alternative) -> tuple[float, float]:
        return (
            x0 + width * a.output_tokens_per_s_per_user / right,
            y0 - height * a.output_tokens_per_s_per_gpu / top,
        )

    out: list[Shape] = []
    for value in ticks(top):
        at = y0 - height * value / top
        out.append(Line(points=((x0, at), (x0 + width, at)), colour=LINE))
        out.append(
            Label(x=x0 - 8, y=at + 4, text=f"{value:,.0f}", colour=FAINT, size=12, anchor="end")
        )
    for value in ticks(right, 8):
        at = x0 + width * value / right
        out.append(Line(points=((at, y0), (at, y0 + 5)), colour=LINE))
        out.append(
            Label(x=at, y=y0 + 19, text=f"{value:,.0f}", colour=FAINT, size=12, anchor="middle")
        )
    user = "output tokens/s per user"
    out.append(Label(x=x0 + width, y=y0 + 38, text=user, colour=FAINT, size=12, anchor="end"))
    if len(plan.front) > 1:
        out.append(Line(points=tuple(map(place, plan.front)), colour=LINE, width=2))
    out += _dots(plan, place)
    if own:
        at_x, at_y = place(own)
        dot = Dot(x=at_x, y=at_y, radius=5, fill=_CHOSEN, tip=_tip(own), has_ring=True)
        text = f"this plan: {own.layout}"
        side, shift = ("end", -14) if at_x > x0 + width * 0.7 else ("start", 14)
        out += [
            dot,
            Label(x=at_x + shift, y=at_y + 18, text=text, colour=_CHOSEN, size=12, is_bold=True,
                  anchor=side),
        ]  # fmt: skip
    return out


def _own_point(plan: Plan) -> Alternative | None:
    """The plan at the load it was asked for, among the front's estimates."""
    if plan.speed is None or plan.basis is None:
        return None
    return Alternative(
        basis=plan.basis,
        layout=plan.layout,
        concurrency=plan.speed.concurrency,
        output_tokens_per_s_per_gpu=plan.speed.output_tokens_per_s_per_gpu,
        output_tokens_per_s_per_user=1 / plan.speed.itl_s,
        ttft_s=plan.speed.ttft_s,
    )


def _dots(plan: Plan, place: Callable[[Alternative], tuple[float, float]]) -> list[Shape]:
    """Dots of one colour per layout; a layout's name where its run of the front begins."""
    names = list(dict.fromkeys(_name(a, plan) for a in plan.front))
    colours = {name: _SERIES[i % len(_SERIES)] for i, name in enumerate(names)}
    out: list[Shape] = []
    before, last_y = "", -math.inf
    for a in sorted(plan.front, key=lambda a: a.output_tokens_per_s_per_gpu, reverse=True):
        (x, y), name = place(a), _name(a, plan)
        out.append(Dot(x=x, y=y, radius=4, fill=colours[name], tip=_tip(a)))
        if name != before and y - last_y > 15:
            out.append(Label(x=x + 10, y=y - 6, text=name, colour=colours[name], size=12))
            last_y = y
        before = name
    return out


def _name(a: Alternative, plan: Plan) -> str:
    several = len({x.basis for x in plan.front}) > 1
    return f"{a.layout}, {a.basis}" if several else str(a.layout)


def _tip(a: Alternative) -> str:
    load = f" at {a.concurrency:,} requests at once" if a.concurrency else ""
    return (
        f"{a.layout} on {a.basis}{load}: {a.output_tokens_per_s_per_gpu:,.0f} tokens/s per GPU, "
        f"{a.output_tokens_per_s_per_user:,.1f} per user, TTFT {a.ttft_s * 1000:,.0f} ms"
    )
