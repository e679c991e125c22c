"""What a launch plan promises about itself: every name it uses is one it defines.

Called by tests of everything that makes or alters launch plans; whoever consumes one relies on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.model.launch import LaunchPlan, Member, Role
from shardwright.model.process import HttpCheck, Per, Process, TcpCheck
from shardwright.model.text import SecretValue, Text
from shardwright.model.volumes import Mount, VolumeKind


def inconsistencies(plan: LaunchPlan) -> tuple[str, ...]:
    """Name everything in the plan that contradicts the plan; nothing if it holds together."""
    return (*_group(plan), *_processes(plan), *_sources(plan), *_secrets(plan))


def _group(plan: LaunchPlan) -> Iterator[str]:
    members = plan.group.members
    if [m.index for m in members] != list(range(len(members))):
        yield "members are not counted from 0"
    if [m.role for m in members].count(Role.LEADER) != 1 or members[0].role is not Role.LEADER:
        yield "member 0 is not the only leader"
    ranks = [rank for member in members for rank in member.ranks]
    if [rank.index for rank in ranks] != list(range(len(ranks))):
        yield "ranks are not counted from 0 in the order of the members"
    for member in members:
        devices = [rank.local_device for rank in member.ranks]
        if len(set(devices)) != len(devices) or any(d >= member.gpus for d in devices):
            yield f"member {member.index}: ranks on devices {devices} of {member.gpus} GPUs"
        if member.shm_bytes >= member.memory_bytes:
            yield f"member {member.index}: /dev/shm takes the whole memory"
    if len(members) > 1 and plan.group.rendezvous is None:
        yield "members without a rendezvous"


def _processes(plan: LaunchPlan) -> Iterator[str]:
    for member in plan.group.members:
        names = [process.name for process in member.processes]
        if len(set(names)) != len(names):
            yield f"member {member.index}: two processes of one name"
        for process in member.processes:
            yield from _process(member, process, names)
    leader = {p.name: {port.name for port in p.ports} for p in plan.group.members[0].processes}
    for endpoint in plan.endpoints:
        if endpoint.port not in leader.get(endpoint.process, set()):
            yield f"endpoint {endpoint.name}: no such port on the leader"


def _process(member: Member, process: Process, names: list[str]) -> Iterator[str]:
    where = f"member {member.index}, {process.name}"
    for name in process.after:
        if name not in names[: names.index(process.name)]:
            yield f"{where}: starts after {name}, which is not listed before it"
    ports = {port.name for port in process.ports}
    for probe in (process.probes.startup, process.probes.readiness, process.probes.liveness):
        match probe and probe.check:
            case HttpCheck(port=port) | TcpCheck(port=port) if port not in ports:
                yield f"{where}: probes port {port}, which it does not have"
    if process.ranks is not None:
        if process.per is not Per.RANK:
            yield f"{where}: has ranks but is not one per rank"
        if not set(process.ranks) <= {rank.index for rank in member.ranks}:
            yield f"{where}: ranks {process.ranks} are not the member's"
    if any(isinstance(word, SecretValue) for words in process.argv for word in words):
        yield f"{where}: a secret in an argument"


def _mounts(plan: LaunchPlan) -> Iterator[tuple[str, Mount]]:
    for member in plan.group.members:
        yield from ((f"member {member.index}", mount) for mount in member.mounts)
    for task in plan.tasks:
        yield from ((f"task {task.name}", mount) for mount in task.mounts)


def _sources(plan: LaunchPlan) -> Iterator[str]:
    defined = {
        VolumeKind.CLAIM: {claim.name for claim in plan.claims},
        VolumeKind.SECRET: {secret.name for secret in plan.secrets},
        VolumeKind.CONFIG: {*plan.external_configs, *(c.name for c in plan.configs)},
    }
    for where, mount in _mounts(plan):
        if mount.kind in defined and mount.source not in defined[mount.kind]:
            yield f"{where}: no {mount.kind.value} named {mount.source}"


def _environments(plan: LaunchPlan) -> Iterator[tuple[str, Text]]:
    for member in plan.group.members:
        for process in member.processes:
            yield from ((process.name, var.value) for var in process.env)
    for task in plan.tasks:
        yield from ((task.name, var.value) for var in task.env)


def _secrets(plan: LaunchPlan) -> Iterator[str]:
    keys = {(secret.name, key) for secret in plan.secrets for key in secret.keys}
    for where, words in _environments(plan):
        for word in words:
            if isinstance(word, SecretValue) and (word.secret, word.key) not in keys:
                yield f"{where}: secret {word.secret} has no key {word.key}"
    for task in plan.tasks:
        if any(isinstance(word, SecretValue) for words in task.argv for word in words):
            yield f"task {task.name}: a secret in an argument"
