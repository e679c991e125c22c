"""Which pods form one copy of the model: the unit in which GPUs must equal ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from shardwright.lint.bundle import Bundle, Member
from shardwright.lint.command.dialects import Engine
from shardwright.lint.command.invocation import EngineInvocation
from shardwright.lint.meetings import Meeting
from shardwright.lint.names import Kind, Resolution
from shardwright.lint.workload.pod import Role


class Span(Enum):
    """How the pods of a group find together."""

    POD = "one pod"
    LEADER_WORKER_SET = "LeaderWorkerSet"
    KUBERAY = "KubeRay"
    RAY = "Ray"
    TORCH = "torch.distributed"
    MPI = "MPI"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """One world of ranks. members with the pods of each; None where the count is not known.

    lead: the member whose engine says how the model is cut. instances: copies of the group.
    """

    span: Span
    lead: Member
    engine: EngineInvocation
    members: tuple[tuple[Member, int | None], ...]
    instances: int

    @property
    def num_pods(self) -> int | None:
        """Pods of one group."""
        counts = [count for _, count in self.members]
        return sum(c for c in counts if c is not None) if None not in counts else None

    @property
    def gpus(self) -> int | None:
        """GPUs of one group; None when a count is not known."""
        if any(count is None for _, count in self.members):
            return None
        return sum(member.container.gpus * (count or 0) for member, count in self.members)

    @property
    def is_distributed(self) -> bool:
        """True if it needs several pods."""
        return self.span is not Span.POD


def find_groups(bundle: Bundle, meetings: Iterable[Meeting]) -> Iterator[Group]:
    """Yield one group for each engine that says how it is cut."""
    joins = _joins(bundle, meetings)
    for member in bundle.members:
        engine = member.engine
        if engine is None or engine.is_headless or member.pod.role is Role.WORKER:
            continue
        yield _group(bundle, member, engine, joins.get(id(member.workload), []))


def _group(bundle: Bundle, member: Member, engine: EngineInvocation, joined: list[Member]) -> Group:
    workload = member.workload
    if workload.kind == "LeaderWorkerSet":
        pods = _same_workload(bundle, member)
        span = Span.LEADER_WORKER_SET if len(workload.pods) > 1 else Span.POD
        return Group(
            span=span, lead=member, engine=engine, members=pods, instances=workload.replicas
        )
    if member.is_kuberay and (engine.uses_ray or workload.kind != "RayCluster"):
        return Group(
            span=Span.KUBERAY,
            lead=member,
            engine=engine,
            members=_same_workload(bundle, member),
            instances=1,
        )
    if workload.kind == "MPIJob":
        return Group(
            span=Span.MPI,
            lead=member,
            engine=engine,
            members=_same_workload(bundle, member),
            instances=1,
        )
    if joined or member.ray_head:
        workers_elsewhere = None if member.ray_head and not joined else 1
        lead = (member, workers_elsewhere)
        return Group(
            span=Span.RAY if member.ray_head or not engine.asks_for_nodes else Span.TORCH,
            lead=member,
            engine=engine,
            members=(lead, *((other, other.workload.replicas) for other in joined)),
            instances=1,
        )
    if engine.asks_for_nodes and engine.engine in {Engine.VLLM, Engine.SGLANG}:
        nodes = engine.num_nodes
        copies = workload.replicas // nodes if nodes else 1
        return Group(
            span=Span.TORCH,
            lead=member,
            engine=engine,
            members=((member, nodes),),
            instances=max(1, copies),
        )
    return Group(
        span=Span.POD,
        lead=member,
        engine=engine,
        members=((member, 1),),
        instances=workload.replicas,
    )


def _same_workload(bundle: Bundle, lead: Member) -> tuple[tuple[Member, int | None], ...]:
    return tuple(
        (member, member.pod.count)
        for member in bundle.members_of(lead.workload)
        if member is lead or member.pod is not lead.pod
    )


def _joins(bundle: Bundle, meetings: Iterable[Meeting]) -> Mapping[int, list[Member]]:
    """List, by workload, the members of other workloads that join it by name."""
    found: dict[int, list[Member]] = {}
    placed: set[int] = set()
    for meeting in meetings:
        member = meeting.member
        meant = intended_lead(bundle, member, meeting.resolution)
        is_elsewhere = meant is not None and meant.workload is not member.workload
        if meant is not None and is_elsewhere and id(member) not in placed:
            placed.add(id(member))
            found.setdefault(id(meant.workload), []).append(member)
    return found


def intended_lead(bundle: Bundle, member: Member, resolution: Resolution) -> Member | None:
    """Find the member a worker means to join: by name, else the only engine around."""
    if member.workload.kind == "LeaderWorkerSet":
        candidates = [
            other for other in bundle.members_of(member.workload) if other.pod is not member.pod
        ]
        return candidates[0] if candidates else None
    if resolution.kind in {Kind.UNKNOWN, Kind.OUTSIDE, Kind.LOOPBACK}:
        return None
    if resolution.workload is not None:
        candidates = bundle.members_of(resolution.workload)
        return candidates[0] if candidates and resolution.workload is not member.workload else None
    candidates = [
        other
        for other in bundle.members_in(member.workload.namespace)
        if other.workload is not member.workload
        and (other.engine is not None or other.ray_head is not None)
        and other.workload.kind == member.workload.kind
    ]
    return candidates[0] if len(candidates) == 1 else None
