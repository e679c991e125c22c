"""The check of the hardware before the group is started on it: a task of as many pods as members.

Its pods ask for what the members ask for (GPUs, RDMA devices, shared memory, the claim, the same
NCCL settings), in the engine's own image, so that what they find is what the engine would find.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.resources import files

from shardwright.model.launch import LaunchPlan, Rank, Task, TaskKind
from shardwright.model.process import EnvVar
from shardwright.model.text import LeaderHost, MemberHost, MemberIndex, SecretValue, text
from shardwright.model.units import GIB
from shardwright.model.volumes import ConfigFiles, Mount, VolumeKind

SCRIPT_FOLDER = "/etc/shardwright-hardware"
SCRIPTS = ("hardware_probe.py", "collective_probe.py")
SECONDS = 240
"""How long a pod measures; 25 s sufficed on two H100 with four sizes, most of it torch's import."""
START_S = 60
"""Allowed besides for the container to start, once its image is there."""
CPU_RANK_BYTES = 1 * GIB
_OWN_SETTINGS = ("NCCL_", "GLOO_", "UCX_", "FI_", "NVSHMEM_")


def hardware_check(
    plan: LaunchPlan, *, image: str | None = None, cpu_ranks: int = 0, seconds: int = SECONDS,
    has_claim: bool = True,
) -> LaunchPlan:  # fmt: skip
    """Reduce a launch plan to the check of one of its groups.

    image: instead of the engine's. cpu_ranks: ranks per member over Gloo and no GPUs, to try the
    check itself; 0: one rank per GPU over NCCL. has_claim: the claim exists, so it can be read.
    """
    member = plan.group.members[0]
    count = len(plan.group.members)
    ranks = cpu_ranks or member.gpus
    claim = _claim_mount(member.mounts) if has_claim else None
    argv = [
        *(text(word) for word in ("python3", f"{SCRIPT_FOLDER}/{SCRIPTS[0]}", "--member")),
        text(MemberIndex()),
        *(text(word) for word in ("--members", str(count), "--leader")),
        text(LeaderHost()),
        *(word for i in range(count) for word in (text("--host"), text(MemberHost(i)))),
        *(text(word) for word in ("--ranks", str(ranks), "--seconds", str(seconds))),
    ]
    argv += [text("--claim"), text(claim.path)] if claim else []
    argv += [text("--cpu")] if cpu_ranks else []
    scripts = _scripts(plan)
    key = hashlib.sha256(repr((argv, scripts.files, image or member.image)).encode()).hexdigest()
    task = Task(
        kind=TaskKind.HARDWARE_CHECK,
        name=f"{plan.name}-hardware",
        key=key,
        image=image or member.image,
        argv=tuple(argv),
        env=() if cpu_ranks else _settings(plan),
        mounts=_mounts(member.mounts, scripts, claim),
        gpus=0 if cpu_ranks else member.gpus,
        cpu_millis=250 * ranks if cpu_ranks else member.cpu_millis,
        memory_bytes=CPU_RANK_BYTES * (ranks + 1) + member.shm_bytes
        if cpu_ranks
        else member.memory_bytes,
        deadline_s=plan.budgets.image_pull_s + START_S + seconds + 30,
        pods=count,
        retries=0,
        extra_resources=() if cpu_ranks else member.extra_resources,
        capabilities=() if cpu_ranks else member.capabilities,
    )
    members = tuple(
        replace(m, gpus=task.gpus, ranks=m.ranks if not cpu_ranks else _cpu_ranks(cpu_ranks))
        for m in plan.group.members
    )
    return replace(
        plan, tasks=(task,), configs=(scripts,), claims=(), secrets=(), replicas=1,
        group=replace(plan.group, members=members),
    )  # fmt: skip


def _cpu_ranks(count: int) -> tuple[Rank, ...]:
    return tuple(
        Rank(index=i, tensor=i, pipeline=0, local_device=i, layers=(0, 0)) for i in range(count)
    )


def _scripts(plan: LaunchPlan) -> ConfigFiles:
    folder = files("shardwright.launch.pods")
    texts = tuple((name, folder.joinpath(name).read_text(encoding="utf-8")) for name in SCRIPTS)
    return ConfigFiles(name=f"{plan.name}-hardware", files=texts)


def _settings(plan: LaunchPlan) -> tuple[EnvVar, ...]:
    """Return what the engine's processes tell NCCL and its like, so that the same is measured."""
    own = [var for process in plan.group.members[0].processes for var in process.env]
    kept = {
        var.name: var
        for var in own
        if var.name.startswith(_OWN_SETTINGS)
        and not any(isinstance(word, SecretValue) for word in var.value)
    }
    return tuple(kept.values())


def _claim_mount(mounts: tuple[Mount, ...]) -> Mount | None:
    return next((mount for mount in mounts if mount.kind is VolumeKind.CLAIM), None)


def _mounts(
    mounts: tuple[Mount, ...], scripts: ConfigFiles, claim: Mount | None
) -> tuple[Mount, ...]:
    shared = tuple(m for m in mounts if m.kind is VolumeKind.SHARED_MEMORY)
    own = Mount(
        volume="script", kind=VolumeKind.CONFIG, path=SCRIPT_FOLDER, source=scripts.name,
        is_read_only=True,
    )  # fmt: skip
    return (own, *shared, *((claim,) if claim else ()))
