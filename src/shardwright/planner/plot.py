"""A plan as one self-contained picture: memory of each stage's GPU, and the front of layouts.

The front is tokens/s per GPU against tokens/s per user: up and to the right is better, and no
layout on it is beaten in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from shardwright.model.plan import Alternative, Plan, RankMemory
from shardwright.model.units import GIB, gib
from shardwright.planner.explain import parts

WIDTH = 760
PAD = 20
BAR_HEIGHT = 26
BAR_GAP = 12
LABEL_WIDTH = 80
FRONT_HEIGHT = 300
AXIS = 56

_COLOURS = {
    "weights": "#3b6fb6", "activation": "#c2571a", "runtime": "#7a6a9b", "graphs": "#a8862c",
    "KV cache": "#2f7d4f",
}  # fmt: skip

_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1c2330}.t{font-weight:600;font-size:15px}
.d{fill:#5a6577;font-size:12px}.f{fill:#eef1f6;stroke:#9aa5b8}.x{stroke:#9aa5b8;fill:none}
.p{fill:#3b6fb6}.c{fill:#c2571a}
@media(prefers-color-scheme:dark){text{fill:#e8ecf3}.d{fill:#a7b1c2}
.f{fill:#1d2430;stroke:#5a6577}}
"""


def plot_svg(title: str, plan: Plan) -> str:
    """Draw a plan as SVG; same plan, same bytes."""
    body = [_text(PAD, PAD + 14, title, "t")]
    y = PAD + 40
    if plan.memory:
        body.append(_text(PAD, y, "Memory of the fullest GPU of each stage", "d"))
        y += 14
        for rank in plan.memory:
            body += _bar(rank, y)
            y += BAR_HEIGHT + BAR_GAP
        body += _legend(plan.memory, y + 8)
        y += 48
    if plan.front:
        head = "Output tokens/s per GPU (up) against tokens/s per user (right), as estimated"
        body.append(_text(PAD, y, head, "d"))
        body += _front(plan, y + 14)
        y += FRONT_HEIGHT + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def plot_html(title: str, plan: Plan, text: str) -> str:
    """Return a page with the picture and the plan in words."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        "<style>body{max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark;"
        "font:15px system-ui,sans-serif}pre{overflow-x:auto}svg{max-width:100%;height:auto}</style>"
        f"</head><body>\n{plot_svg(title, plan)}<pre>{escape(text)}</pre>\n</body></html>\n"
    )


def _bar(rank: RankMemory, y: int) -> list[str]:
    """Draw one GPU; what runs over its memory is cut at the edge and said in the tip."""
    width = WIDTH - 2 * PAD - LABEL_WIDTH
    x = PAD + LABEL_WIDTH
    out = [
        _text(PAD, y + 18, f"stage {rank.stage}"),
        f'<rect class="f" x="{x}" y="{y}" width="{width}" height="{BAR_HEIGHT}"/>',
    ]
    done = 0
    for _, word, size in parts(rank):
        start = min(done, rank.total_bytes)
        done += max(0, size)
        end = min(done, rank.total_bytes)
        out.append(
            f'<rect fill="{_COLOURS[word]}" x="{x + width * start / rank.total_bytes:.1f}" y="{y}" '
            f'width="{width * (end - start) / rank.total_bytes:.1f}" height="{BAR_HEIGHT}">'
            f"<title>{word}: {gib(size)} of {gib(rank.total_bytes)}</title></rect>"
        )
    edge = x + width * min(1.0, rank.budget_bytes / rank.total_bytes)
    out.append(f'<path class="x" d="M{edge:.1f} {y - 4}v{BAR_HEIGHT + 8}"/>')
    return out


def _legend(memory: Sequence[RankMemory], y: int) -> list[str]:
    tight = min(memory, key=lambda r: r.kv_cache_bytes)
    out, x = [], PAD
    for _, word, size in parts(tight):
        out.append(f'<rect fill="{_COLOURS[word]}" x="{x}" y="{y}" width="12" height="12"/>')
        label = f"{word} {size / GIB:.1f} GiB"
        out.append(_text(x + 18, y + 11, label, "d"))
        x += 34 + 7 * len(label)
    return out


def _front(plan: Plan, y: int) -> list[str]:
    """Draw the front with axes from zero; the chosen layout is marked by colour and by a ring."""
    right = max(a.output_tokens_per_s_per_user for a in plan.front) * 1.1
    top = max(a.output_tokens_per_s_per_gpu for a in plan.front) * 1.1
    width, height = WIDTH - 2 * PAD - AXIS - 60, FRONT_HEIGHT - 30
    x0, y0 = PAD + AXIS, y + height
    out = [
        f'<path class="x" d="M{x0} {y}V{y0}H{x0 + width}"/>',
        _text(PAD, y + 10, f"{top:,.0f}", "d"),
        _text(x0 + width - 30, y0 + 18, f"{right:,.0f}", "d"),
        _text(x0 - 12, y0 + 18, "0", "d"),
    ]
    for point in plan.front:
        x = x0 + width * point.output_tokens_per_s_per_user / right
        above = y0 - height * point.output_tokens_per_s_per_gpu / top
        out += _point(point, plan, x, above)
    return out


def _point(point: Alternative, plan: Plan, x: float, y: float) -> list[str]:
    chosen = point.layout == plan.layout
    tip = (
        f"{point.layout}: {point.output_tokens_per_s_per_gpu:,.0f} tokens/s per GPU, "
        f"{point.output_tokens_per_s_per_user:,.1f} per user, TTFT {point.ttft_s * 1000:,.0f} ms"
    )
    ring = f'<circle class="x" cx="{x:.1f}" cy="{y:.1f}" r="9"/>' if chosen else ""
    dot = (
        f'<circle class="{"c" if chosen else "p"}" cx="{x:.1f}" cy="{y:.1f}" r="5">'
        f"<title>{escape(tip)}</title></circle>{ring}"
    )
    return [dot, _text(x + 12, y + 4, str(point.layout), "d")]


def _text(x: float, y: float, text: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
