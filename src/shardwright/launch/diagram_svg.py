"""A topology as one self-contained SVG: members, stages, GPUs, and the way of a request."""

from __future__ import annotations

from html import escape

from shardwright.launch.topology import MemberBox, StageBox, Topology

WIDTH = 760
PAD = 16
GPU = 76
GPU_HEIGHT = 40
PER_ROW = 8
STAGE_HEAD = 44
GAP = 56

_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1c2330}
.t{font-weight:600;font-size:15px}.m{fill:#f4f6fa;stroke:#9aa5b8}.s{fill:#e3ecfb;stroke:#5b7fb9}
.g{fill:#fff;stroke:#5b7fb9}.d{fill:#5a6577;font-size:12px}
.a{stroke:#c2571a;stroke-width:2;fill:none}.h{stroke:#2f7d4f;stroke-width:2;fill:none}
@media(prefers-color-scheme:dark){text{fill:#e8ecf3}.m{fill:#1d2430;stroke:#5a6577}
.s{fill:#24344f;stroke:#7fa1d8}.g{fill:#131a26;stroke:#7fa1d8}.d{fill:#a7b1c2}}
"""


def draw_svg(topology: Topology) -> str:
    """Draw the topology; text scales with the reader's fonts and colours with their theme."""
    body: list[str] = [_text(PAD, 26, topology.title, "t")]
    y = 48
    way = f"clients → HTTP :{topology.port} → member 0 → stages in order"
    body.append(_text(PAD, y + 12, way, "d"))
    y += 30
    for member in topology.members:
        height = PAD + 22 + sum(_stage_height(b) + 10 for b in member.stages)
        body.append(_rect(PAD, y, WIDTH - 2 * PAD, height, "m"))
        body.append(_text(2 * PAD, y + 22, member.title, "t"))
        body += _stages(member, topology, y + 34)
        y += height
        for hop in (h for h in topology.hops if h.source == member.index and h.crosses):
            body.append(_arrow(WIDTH // 2, y, GAP, "a"))
            label = f"activations after stage {hop.stage}: {hop.medium}"
            body.append(_text(WIDTH // 2 + 14, y + GAP // 2 + 4, label, "d"))
            y += GAP
    y += 12
    body.append(_text(PAD, y + 14, "sampled tokens return to member 0", "d"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 30}" '
        f'width="{WIDTH}" role="img" aria-label="{escape(topology.title)}">'
        f"<style>{_STYLE}</style>"
        '<defs><marker id="p" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
        '<path d="M0,0L7,3L0,6z" fill="#c2571a"/></marker></defs>' + "".join(body) + "</svg>\n"
    )


def _stages(member: MemberBox, topology: Topology, top: int) -> list[str]:
    out, y = [], top
    for box in member.stages:
        height = _stage_height(box)
        out.append(_rect(2 * PAD, y, WIDTH - 4 * PAD, height, "s"))
        out.append(_text(3 * PAD, y + 20, box.title, ""))
        if topology.all_reduce and len(box.gpus) > 1:
            label = f"all-reduce twice a layer: {topology.all_reduce}"
            out.append(_text(3 * PAD, y + 37, label, "d"))
        for i, (device, rank) in enumerate(box.gpus):
            x = 3 * PAD + (i % PER_ROW) * (GPU + 4)
            gy = y + STAGE_HEAD + (i // PER_ROW) * (GPU_HEIGHT + 4)
            out.append(_rect(x, gy, GPU, GPU_HEIGHT, "g"))
            out.append(_text(x + 8, gy + 17, f"GPU {device}", ""))
            out.append(_text(x + 8, gy + 33, f"rank {rank}", "d"))
        y += height + 10
    return out


def _stage_height(box: StageBox) -> int:
    rows = -(-len(box.gpus) // PER_ROW)
    return STAGE_HEAD + rows * (GPU_HEIGHT + 4) + 8


def _rect(x: int, y: int, width: int, height: int, kind: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{kind}"/>'


def _text(x: int, y: int, words: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(words)}</text>'


def _arrow(x: int, y: int, length: int, kind: str) -> str:
    return f'<path d="M{x},{y + 4}V{y + length - 6}" class="{kind}" marker-end="url(#p)"/>'
