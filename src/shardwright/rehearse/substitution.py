"""The one difference between a deployment and its rehearsal: a pure function over launch plans.

Local rehearsals and rehearsals on a cluster share it. It may touch exactly: image, model and its
length and dtype flags, TP and PP width with the ranks and members that follow, GPU and RDMA
resources with their selectors and tolerations, CPU, memory and shm sizes, the access mode, the
interface name, and the CPU engine's environment. Every touch is told as a Change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shardwright.engines.rehearsal import FlagRule, Rehearsal
from shardwright.model.flags import drop_flag, flag_value, set_flag
from shardwright.model.launch import LaunchPlan, Member, Rank, VolumeKind
from shardwright.model.process import EnvVar, Process
from shardwright.model.text import Text, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One touch. path: where in the plan; not_proved: what the rehearsal therefore cannot show."""

    path: str
    old: str
    new: str
    why: str
    not_proved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """What a rehearsal puts in the place of the real thing. None keeps what the plan has.

    layers: hidden layers of each stage of the small model; its length is the pipeline width.
    model_path: directory of the small model. env: the CPU engine's environment, set on every
    process. interface: the network device that carries the members' addresses here.
    """

    tensor_parallel: int
    layers: tuple[int, ...]
    model_path: str
    max_model_len: int
    env: tuple[EnvVar, ...] = ()
    image: str | None = None
    interface: str | None = None
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    shm_bytes: int | None = None
    access_mode: str | None = None

    @property
    def pipeline_parallel(self) -> int:
        """Number of stages."""
        return len(self.layers)

    @property
    def num_ranks(self) -> int:
        """Ranks of the group."""
        return self.tensor_parallel * self.pipeline_parallel


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
    """Directory of the weights in a member: the argument that lies in a claim."""
    for member in plan.group.members:
        claims = [m.path.rstrip("/") for m in member.mounts if m.kind is VolumeKind.CLAIM]
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
        processes=tuple(_process(p, sub, rules, weights, changes) for p in member.processes),
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


def _process(
    process: Process,
    sub: Substitution,
    rules: Rehearsal,
    weights: str | None,
    changes: list[Change],
) -> Process:
    argv = process.argv
    if weights is not None and text(weights) in argv:
        where = f"processes[{process.name}].argv"
        argv = tuple(text(sub.model_path) if word == text(weights) else word for word in argv)
        changes.append(
            Change(
                path=where,
                old=weights,
                new=sub.model_path,
                why="a small model of the same architecture, random weights",
                not_proved="the real weights: their download, integrity, loading time and answers",
            )
        )
        argv = _flags(process, argv, sub, rules, changes)
    return replace(process, argv=argv, env=_env(process, sub, rules, changes))


def _flags(
    process: Process,
    argv: tuple[Text, ...],
    sub: Substitution,
    rules: Rehearsal,
    changes: list[Change],
) -> tuple[Text, ...]:
    fewer = "as many ranks as this machine has room for; both axes are kept"
    short = "the small model's own limit"
    sized = (
        FlagRule(
            names=rules.tensor, value=str(sub.tensor_parallel), why=fewer,
            not_proved="collectives of the full width",
        ),
        FlagRule(
            names=rules.pipeline, value=str(sub.pipeline_parallel), why=fewer,
            not_proved="a pipeline of the full depth",
        ),
        FlagRule(
            names=rules.length, value=str(sub.max_model_len), why=short,
            not_proved="long requests and a full KV cache",
        ),
    )  # fmt: skip
    for rule in (*sized, *rules.flags):
        old = flag_value(argv, rule.names)
        if old == rule.value or (old is None and not rule.is_added):
            continue
        if rule.value is None:
            argv = drop_flag(argv, rule.names)
        else:
            argv = set_flag(argv, rule.names, rule.value)
        changes.append(
            Change(
                path=f"processes[{process.name}].argv {rule.names[0]}",
                old=old or "(absent)",
                new=rule.value or "(absent)",
                why=rule.why,
                not_proved=rule.not_proved,
            )
        )
    return argv


def _env(
    process: Process, sub: Substitution, rules: Rehearsal, changes: list[Change]
) -> tuple[EnvVar, ...]:
    new = {var.name: var for var in sub.env}
    for var in process.env:
        if sub.interface and var.name.endswith("_SOCKET_IFNAME"):
            new[var.name] = replace(var, value=text(sub.interface), why="the device here")
        if var.name == rules.partition_env:
            split = ",".join(map(str, sub.layers))
            new[var.name] = replace(var, value=text(split), why="the small model's layers")
    old = {var.name: var for var in process.env}
    for name, var in new.items():
        before = old.get(name)
        if before is None or before.value != var.value:
            changes.append(
                Change(
                    path=f"processes[{process.name}].env {name}",
                    old=_shown(before.value) if before else "(absent)",
                    new=_shown(var.value),
                    why=var.why or "the CPU engine needs it",
                )
            )
    kept = (new.get(var.name, var) for var in process.env)
    return (*kept, *(var for name, var in new.items() if name not in old))


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


def _shown(words: Text) -> str:
    return "".join(word if isinstance(word, str) else f"<{type(word).__name__}>" for word in words)
