"""A rehearsal on Kubernetes: the rendered manifests themselves, with a small model in the claim.

Pure. The wiring is the deployment's own; beside `substitute`, the only thing exchanged is the
program of the job that brings the weights. It runs in a namespace of its own, so names stay.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.errors import usage_error
from shardwright.model.launch import LaunchPlan, Member, Ray, Task, TaskKind
from shardwright.model.process import EnvVar
from shardwright.model.text import text
from shardwright.model.units import GIB
from shardwright.model.volumes import VolumeKind
from shardwright.rehearse.change import Change, Substitution
from shardwright.rehearse.shrink import SmallModel
from shardwright.rehearse.substitution import substitute, weights_path

IMAGE_HOME = PurePosixPath("/opt/shardwright")
"""Where a rehearsal image holds this package, beside the CPU engine."""

SMALL_CONFIG = "SHARDWRIGHT_SMALL_CONFIG"
"""Environment variable with the small model's config.json, for the job that writes it."""

CPU_MILLIS = 250
MEMORY_BYTES = 7 * GIB  # a rank of the small model: 0.8 GiB; its API server: 1.2 GiB; shm: 1 GiB
SHM_BYTES = 1 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterScene:
    """What a rehearsal on a cluster applies: the substituted plan, and every touch."""

    deployed: LaunchPlan
    plan: LaunchPlan
    changes: tuple[Change, ...]

    def with_planned_gpus(self) -> ClusterScene:
        """Reserve the deployment's own GPUs, so that members land on nodes as they will.

        For clusters that have them; the engine still runs on the processors. Not with Ray: it puts
        ranks where GPUs are, and would put all the few ranks on the first node of eight.
        """
        if isinstance(self.plan.group.rendezvous, Ray):
            return self
        members = tuple(
            replace(member, gpus=planned.gpus)
            for member, planned in zip(
                self.plan.group.members, self.deployed.group.members, strict=False
            )
        )
        changes = tuple(each for each in self.changes if each.path != "group.members[*].gpus")
        plan = replace(self.plan, group=replace(self.plan.group, members=members))
        return replace(self, plan=plan, changes=changes)


def cluster_scene(
    deployed: LaunchPlan, small: SmallModel, sizes: Substitution, rules: Rehearsal, namespace: str
) -> ClusterScene:
    """Put the small model into a launch plan for a cluster. sizes: with image, ranks and length.

    The namespace is the rehearsal's own, so every name in it is the deployment's.
    """
    if any(mount.kind is VolumeKind.IMAGE for mount in deployed.group.members[0].mounts):
        raise usage_error(
            "rehearsal-of-weights-image",
            "the weights of this spec are an image, which nobody can put a small model into",
            cause="a rehearsal on a cluster writes its small model in the place of the download",
            remedy="rehearse it with spec.storage.image left out, or without --cluster",
        )
    weights = weights_path(deployed) or sizes.model_path
    sub = replace(
        sizes,
        model_path=weights,
        cpu_millis=CPU_MILLIS,
        memory_bytes=MEMORY_BYTES,
        shm_bytes=SHM_BYTES,
        env=(*rules.env, *_image_env(rules, sizes, deployed.group.members)),
    )
    plan, changes = substitute(deployed, sub, rules)
    tasks = tuple(
        _small_weights(task, small, sub.image or task.image, weights)
        if task.kind is TaskKind.DOWNLOAD
        else task
        for task in plan.tasks
    )
    told = Change(
        path="tasks[download].argv",
        old="hf download",
        new="write the small model",
        why="no weights are fetched",
        not_proved="the download and its rate",
    )
    moved = Change(
        path="namespace", old=deployed.namespace, new=namespace, why="removed as a whole afterwards"
    )
    return ClusterScene(
        deployed=deployed,
        plan=replace(plan, namespace=namespace, tasks=tasks),
        changes=(*changes, told, moved),
    )


def _image_env(
    rules: Rehearsal, sizes: Substitution, members: tuple[Member, ...]
) -> tuple[EnvVar, ...]:
    per_member = sizes.num_ranks // len(members)
    keeps_cache = any(mount.sub_path for mount in members[0].mounts)
    place = "/tmp/engine-cache"  # noqa: S108
    scratch = (
        EnvVar(name=name, value=text(place), why="the image is read-only")
        for name in rules.cache_envs
    )
    plugin = IMAGE_HOME / "shardwright" / "engines" / rules.plugin
    return (
        EnvVar(name=rules.ranks_env, value=text(str(per_member)), why="ranks stand for GPUs"),
        EnvVar(name="PYTHONPATH", value=text(str(plugin)), why="a CPU platform over several nodes"),
        *(() if keeps_cache else scratch),
    )


def _small_weights(task: Task, small: SmallModel, image: str, weights: str) -> Task:
    config = json.dumps(
        {key: value for key, value in small.config.items() if value is not None}, sort_keys=True
    )
    argv = ("python3", "-m", "shardwright.drive.deliver", weights)
    return replace(
        task,
        image=image,
        argv=tuple(text(word) for word in argv),
        env=(
            *task.env,
            EnvVar(name="PYTHONPATH", value=text(str(IMAGE_HOME))),
            EnvVar(name=SMALL_CONFIG, value=text(config)),
        ),
    )
