"""Where the shards are and which links carry what: a launch plan as boxes and links.

Drawn as text, Mermaid or SVG by `shardwright.launch.diagram`; also in the rehearsal's report.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from shardwright.model.launch import LaunchPlan, Member, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBox:
    """The part of one pipeline stage on one member: its layers and the tensor ranks there.

    gpus: (local device, global rank) in order.
    """

    stage: int
    data: int
    layers: tuple[int, int]
    tensor: tuple[int, int]
    gpus: tuple[tuple[int, int], ...]

    @property
    def title(self) -> str:
        """Stage and layers in words; the data-parallel copy where there are several."""
        copy = f" · copy {self.data}" if self.data else ""
        return f"stage {self.stage} · layers {self.layers[0]}-{self.layers[1]}{copy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberBox:
    """One member: a pod on a node, or a set of processes."""

    index: int
    is_leader: bool
    stages: tuple[StageBox, ...]

    @property
    def title(self) -> str:
        """Which member it is and what it does."""
        return f"member {self.index} · {'leader, HTTP' if self.is_leader else 'worker'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """Activations from one stage to the next. crosses: from one member to another."""

    stage: int
    data: int
    source: int
    target: int
    medium: str

    @property
    def crosses(self) -> bool:
        """Whether the hop leaves the member."""
        return self.source != self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """One group. all_reduce: what carries it inside a stage; None without tensor parallelism."""

    title: str
    members: tuple[MemberBox, ...]
    hops: tuple[Hop, ...]
    all_reduce: str | None
    port: int


def topology(plan: LaunchPlan, *, in_node: str, between_nodes: str) -> Topology:
    """Read the topology of one group; the two links are named by the caller, who knows the GPUs."""
    members = tuple(_member(m) for m in plan.group.members)
    spanning = any(_spans(members, box) for m in members for box in m.stages)
    tensor = max(rank.tensor for m in plan.group.members for rank in m.ranks) + 1
    pipeline = max(rank.pipeline for m in plan.group.members for rank in m.ranks) + 1
    gpus = sum(m.gpus for m in plan.group.members)
    return Topology(
        title=f"{plan.name} · TP={tensor} PP={pipeline} · {len(members)} x "
        f"{plan.group.members[0].gpus} {plan.placement.gpu_product}"
        + (f" · {plan.replicas} replicas" if plan.replicas > 1 else "")
        + f" · {gpus} ranks · {plan.mechanism.value}",
        members=members,
        hops=_hops(members, in_node, between_nodes),
        all_reduce=None if tensor == 1 else between_nodes if spanning else in_node,
        port=next(
            port.number
            for process in plan.group.members[0].processes
            for port in process.ports
            if port.is_public
        ),
    )


def _member(member: Member) -> MemberBox:
    boxes = []
    for (data, stage), grouped in groupby(member.ranks, key=lambda r: (r.data, r.pipeline)):
        ranks = list(grouped)
        boxes.append(
            StageBox(
                stage=stage,
                data=data,
                layers=ranks[0].layers,
                tensor=(ranks[0].tensor, ranks[-1].tensor),
                gpus=tuple((r.local_device, r.index) for r in ranks),
            )
        )
    return MemberBox(index=member.index, is_leader=member.role is Role.LEADER, stages=tuple(boxes))


def _spans(members: tuple[MemberBox, ...], box: StageBox) -> bool:
    key = (box.stage, box.data)
    return sum(any((b.stage, b.data) == key for b in m.stages) for m in members) > 1


def _hops(members: tuple[MemberBox, ...], in_node: str, between: str) -> tuple[Hop, ...]:
    homes: dict[tuple[int, int], int] = {}
    for member in members:
        for box in member.stages:
            homes.setdefault((box.data, box.stage), member.index)
    out = []
    for (data, stage), home in homes.items():
        target = homes.get((data, stage + 1))
        if target is not None:
            medium = in_node if target == home else between
            out.append(Hop(stage=stage, data=data, source=home, target=target, medium=medium))
    return tuple(out)
