"""A topology as text for a terminal and as Mermaid for a document."""

from __future__ import annotations

from shardwright.launch.topology import MemberBox, StageBox, Topology


def draw_text(topology: Topology) -> str:
    """Draw boxes and arrows in plain characters, 78 columns at most."""
    out = [topology.title, "", f"  clients ──HTTP :{topology.port}──▶ member 0"]
    for member in topology.members:
        out += _text_box(member, topology)
        for hop in topology.hops:
            if hop.source == member.index and hop.crosses:
                out.append(f"        │ activations after stage {hop.stage}: {hop.medium}")
                out.append("        ▼")
    last = topology.members[-1]
    if last.index:
        out.append(f"        └─ tokens sampled on member {last.index} return to member 0")
    return "\n".join(out) + "\n"


def _text_box(member: MemberBox, topology: Topology) -> list[str]:
    rows = []
    for box in member.stages:
        rows.append(box.title)
        rows.append(f"  {_gpus(box)}")
        if topology.all_reduce and len(box.gpus) > 1:
            rows.append(f"  all-reduce twice a layer: {topology.all_reduce}")
        here = (member.index, box.stage, box.data)
        if any((h.source, h.stage, h.data) == here and not h.crosses for h in topology.hops):
            rows.append("  ↓ activations, within the member")
    width = max(len(row) for row in [*rows, member.title]) + 2
    top = f"  ┌─ {member.title} " + "─" * (width - len(member.title) - 2) + "┐"
    return [top, *(f"  │ {row:<{width}}│" for row in rows), "  └" + "─" * (width + 1) + "┘"]


def _gpus(box: StageBox) -> str:
    devices, ranks = [d for d, _ in box.gpus], [r for _, r in box.gpus]
    if len(box.gpus) == 1:
        return f"GPU {devices[0]} = rank {ranks[0]} (TP {box.tensor[0]})"
    tensor = f"TP {box.tensor[0]}-{box.tensor[1]}"
    return f"GPUs {devices[0]}-{devices[-1]} = ranks {ranks[0]}-{ranks[-1]} ({tensor})"


def draw_mermaid(topology: Topology) -> str:
    """Draw a Mermaid flowchart: members as subgraphs, stages as nodes, links with their medium."""
    out = ["flowchart TD", f'  client(["clients"]) -->|"HTTP :{topology.port}"| {_id(0, 0, 0)}']
    for member in topology.members:
        out.append(f'  subgraph m{member.index}["{member.title}"]')
        for box in member.stages:
            label = f"{box.title}<br/>{_gpus(box)}"
            if topology.all_reduce and len(box.gpus) > 1:
                label += f"<br/>all-reduce: {topology.all_reduce}"
            out.append(f'    {_id(member.index, box.stage, box.data)}["{label}"]')
        out.append("  end")
    for hop in topology.hops:
        source = _id(hop.source, hop.stage, hop.data)
        target = _id(hop.target, hop.stage + 1, hop.data)
        out.append(f'  {source} -->|"activations: {hop.medium}"| {target}')
    last = topology.members[-1]
    tail = last.stages[-1]
    if (last.index, tail.stage) != (0, 0):
        out.append(f"  {_id(last.index, tail.stage, tail.data)} -.->|tokens| client")
    return "\n".join(out) + "\n"


def _id(member: int, stage: int, data: int) -> str:
    return f"m{member}s{stage}d{data}"
