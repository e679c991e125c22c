"""The one difference between a deployment and its rehearsal: a pure function over launch plans.

Local rehearsals and rehearsals on a cluster share it. It may touch exactly: image, model and its
length and dtype flags, TP and PP width with the ranks and members that follow, GPU and RDMA
resources with their selectors and tolerations, the user the image has, CPU, memory and shm sizes,
the access mode, the interface name, and the CPU engine's environment. Every touch is told as a
Change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.launch import LaunchPlan, Member, Rank
from shardwright.model.volumes import VolumeKind
from shardwright.rehearse.change import Change, Substitution
from shardwright.rehearse.process_substitution import substitute_process

_WEIGHTS = (VolumeKind.CLAIM, VolumeKind.IMAGE)


def substitute(
    plan: LaunchPlan, substitution: Substitution, rules: Rehearsal
) -> tuple[LaunchPlan, tuple[Change, ...]]:
    """Put the small model, fewer ranks and CPUs in the place of the real ones; tell every touch."""
    num_members = members_for(len(plan.group.members), substitution.num_ranks)
    kept = plan.group.members[:num_members]
    changes: list[Change] = []
    weights = weights_path(plan)
    members = tuple(
        _member(member, substitution, rules, (num_members, weights), changes) for member in kept
    )
    if num_members < len(plan.group.members):
        changes.append(
            Change(
                path="group.members",
                old=f"{len(plan.group.members)} members",
                new=f"{num_members} members",
                why=f"{substitution.num_ranks} ranks cannot be dealt to more members evenly",
                not_proved=f"that {len(plan.group.members)} members meet, rather than "
                f"{num_members}",
            )
        )
    claims = plan.claims
    if substitution.access_mode is not None:
        claims = tuple(replace(c, access_mode=substitution.access_mode) for c in plan.claims)
    placement = replace(plan.placement, node_selector=(), tolerations=())
    out = replace(
        plan, group=replace(plan.group, members=members), claims=claims, placement=placement
    )
    changes += _elsewhere(plan, out)
    return out, _merged(changes)


def members_for(num_members: int, num_ranks: int) -> int:
    """As many members as the plan has, or the most that share the ranks evenly.

    >>> members_for(2, 4), members_for(4, 4), members_for(3, 4)
    (2, 4, 2)
    """
    return next(n for n in range(num_members, 0, -1) if num_ranks % n == 0)


def weights_path(plan: LaunchPlan) -> str | None:
    """Directory of the weights in a member: the argument that lies in a claim, or in an image."""
    for member in plan.group.members:
        claims = [m.path.rstrip("/") for m in member.mounts if m.kind in _WEIGHTS]
        for process in member.processes:
            for word in process.argv:
                path = word[0] if len(word) == 1 else None
                if isinstance(path, str) and any(f"{path}/".startswith(f"{c}/") for c in claims):
                    return path
    return None


def ranks_of(substitution: Substitution, member: int, num_members: int) -> tuple[Rank, ...]:
    """Ranks of one member: tensor-parallel neighbours first, then stages, as every launch deals."""
    per_member = substitution.num_ranks // num_members
    tensor_parallel = substitution.tensor_parallel
    ranks = []
    for local in range(per_member):
        index = member * per_member + local
        stage = index // tensor_parallel
        first = sum(substitution.layers[:stage])
        ranks.append(
            Rank(
                index=index,
                tensor=index % tensor_parallel,
                pipeline=stage,
                local_device=local,
                layers=(first, first + substitution.layers[stage] - 1),
            )
        )
    return tuple(ranks)


def _member(
    member: Member,
    sub: Substitution,
    rules: Rehearsal,
    where: tuple[int, str | None],
    changes: list[Change],
) -> Member:
    num_members, weights = where
    ranks = ranks_of(sub, member.index, num_members)
    out = replace(
        member,
        image=sub.image or member.image,
        run_as=None if sub.image else member.run_as,
        processes=tuple(
            substitute_process(p, sub, rules, weights, changes) for p in member.processes
        ),
        ranks=ranks,
        gpus=len(ranks),
        cpu_millis=sub.cpu_millis or member.cpu_millis,
        memory_bytes=sub.memory_bytes or member.memory_bytes,
        shm_bytes=sub.shm_bytes or member.shm_bytes,
        extra_resources=(),
        mounts=tuple(
            replace(m, size_bytes=sub.shm_bytes)
            if sub.shm_bytes and m.kind is VolumeKind.SHARED_MEMORY
            else m
            for m in member.mounts
        ),
    )
    changes += _resources(member, out)
    return out


def _resources(old: Member, new: Member) -> Iterator[Change]:
    def change(field: str, before: object, after: object, why: str, lost: str) -> Iterator[Change]:
        if before != after:
            path = f"group.members[*].{field}"
            yield Change(path=path, old=str(before), new=str(after), why=why, not_proved=lost)

    no_gpu = "there is no GPU here"
    yield from change("image", old.image, new.image, "the CPU engine runs instead", "the image")
    theirs = "the user is one of the image's own"
    yield from change("run_as", old.run_as, new.run_as, theirs, "that it runs without root")
    yield from change(
        "ranks", f"{len(old.ranks)} ranks", f"{len(new.ranks)} ranks", "a rank is a process on "
        "this machine's cores", "that every rank of the full width starts"
    )  # fmt: skip
    fewer = "one stands for each rank, and none is a GPU"
    yield from change("gpus", old.gpus, new.gpus, fewer, "that the nodes have the GPUs")
    yield from change(
        "extra_resources", dict(old.extra_resources), dict(new.extra_resources), no_gpu, "RDMA"
    )
    for field, lost in (("cpu_millis", "CPU needs"), ("memory_bytes", "memory needs")):
        before, after = getattr(old, field), getattr(new, field)
        yield from change(field, before, after, "sized for the small model", lost)
    before, after = old.shm_bytes, new.shm_bytes
    yield from change("shm_bytes", before, after, "sized for this machine", "the full /dev/shm")


def _elsewhere(old: LaunchPlan, new: LaunchPlan) -> Iterator[Change]:
    pairs = (
        ("placement.node_selector", old.placement.node_selector, new.placement.node_selector),
        ("placement.tolerations", old.placement.tolerations, new.placement.tolerations),
        ("claims", [c.access_mode for c in old.claims], [c.access_mode for c in new.claims]),
    )
    for path, before, after in pairs:
        if before != after:
            yield Change(
                path=path,
                old=str(before),
                new=str(after),
                why="they name hardware that is not here",
                not_proved="that pods land on the right nodes" if "placement" in path else
                "the access mode of the claim",
            )  # fmt: skip


def _merged(changes: list[Change]) -> tuple[Change, ...]:
    """Tell once what is the same for every member."""
    return tuple(dict.fromkeys(changes))
