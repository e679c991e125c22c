"""Ray: who starts the head, who joins it, and what the image holds."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.command.dialects import Engine, is_stock_vllm, version_of
from shardwright.lint.finding import Found, Rule
from shardwright.lint.names import Host, Kind, resolve
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity
from shardwright.model.version import Version

_RAY = "https://docs.ray.io/en/latest/cluster/cli.html#ray-start"
_DROPPED = Version((0, 19, 0))
"""First release whose stock image has no Ray (kubernetes-sigs/lws issue 835)."""


def _starts_ray_head(scene: Scene, member: Member) -> bool:
    """True if some container of the member's pod starts a Ray head, or may."""
    return any(
        other.ray_head is not None or other.command.is_opaque or other.is_kuberay
        for other in scene.members
        if other.pod is member.pod
    )


def _ray_head_never_started(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        join = member.ray_join
        if join is None or not join.address or member.workload.is_managed:
            continue
        lead = _lead(scene, member, join.address)
        if lead is not None and not _starts_ray_head(scene, lead):
            at = lead.command.engines[0].site if lead.command.engines else None
            yield Found(
                object=lead.object,
                path=at.path if at else lead.container.path,
                what=(
                    f"{member.object.label} joins Ray at {join.address}, but container"
                    f" {lead.container.name} of {lead.object.label} never runs ray start --head"
                ),
            )


def _lead(scene: Scene, member: Member, address: str) -> Member | None:
    """Find the member a Ray worker means to join: by name, else the only engine around."""
    if member.workload.kind == "LeaderWorkerSet":
        candidates = [
            other
            for other in scene.members
            if other.workload is member.workload and other.pod is not member.pod
        ]
        return candidates[0] if candidates else None
    resolution = resolve(scene, member.workload, Host.parse(address).name)
    if resolution.kind in {Kind.UNKNOWN, Kind.OUTSIDE, Kind.LOOPBACK}:
        return None
    if resolution.workload is not None:
        candidates = [m for m in scene.members if m.workload is resolution.workload]
        return candidates[0] if candidates and resolution.workload is not member.workload else None
    candidates = [
        other
        for other in scene.members
        if other.workload.namespace == member.workload.namespace
        and other.workload is not member.workload
        and (other.engine is not None or other.ray_head is not None)
        and other.workload.kind == member.workload.kind
    ]
    return candidates[0] if len(candidates) == 1 else None


def _ray_missing_in_image(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        image = member.container.image
        version = version_of(image, Engine.VLLM)
        if not is_stock_vllm(image) or version is None or version < _DROPPED:
            continue
        rays = member.command.rays
        uses = rays or any(engine.uses_ray for engine in member.command.engines)
        if not uses or _installs_ray(member):
            continue
        site = rays[0].site if rays else member.command.engines[0].site
        yield Found(
            object=site.object,
            path=site.path,
            near="ray start" if rays else "ray",
            what=f"{image.reference} has no Ray, and container {member.container.name} needs it",
        )


def _installs_ray(member: Member) -> bool:
    for other in member.command.others:
        if (
            other.name in {"pip", "pip3", "uv", "python", "python3"}
            and "install" in other.arguments
        ):
            return any(word.split("[")[0].split("=")[0] == "ray" for word in other.arguments)
    return False


RULES = (
    Rule(
        code="ray-head-never-started",
        severity=Severity.ERROR,
        title="workers join a Ray head that nobody starts",
        why=(
            "`ray start --address` waits for a head's GCS on port 6379. An engine started without"
            " `ray start --head` before it opens no such port, so workers crash-loop and the engine"
            " never sees their GPUs."
        ),
        remedy=(
            "start the head in the same container, before the engine:"
            " `ray start --head --port=6379 && vllm serve ... --distributed-executor-backend ray`"
        ),
        references=(_RAY, "https://docs.vllm.ai/en/stable/serving/parallelism_scaling/"),
        check=_ray_head_never_started,
    ),
    Rule(
        code="ray-missing-in-image",
        severity=Severity.ERROR,
        title="Ray on an image without Ray",
        why=(
            "vLLM's own image dropped Ray in 0.19: `ray` is not found, and"
            " --distributed-executor-backend ray fails at import."
        ),
        remedy=(
            "use vLLM's own multi-node form (--nnodes, --node-rank, --master-addr), or an image"
            " with Ray added (`pip install ray`)"
        ),
        references=("https://github.com/kubernetes-sigs/lws/issues/835",),
        check=_ray_missing_in_image,
    ),
)
