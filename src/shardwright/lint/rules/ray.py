"""Ray: who starts the head, who joins it, and what the image holds."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.command.dialects import Engine, is_stock_vllm, version_of
from shardwright.lint.command.invocation import host_of
from shardwright.lint.finding import Found, Rule
from shardwright.lint.groups import Span, intended_lead
from shardwright.lint.names import resolve
from shardwright.lint.scene import Scene
from shardwright.lint.shell.values import is_known
from shardwright.model.finding import Severity
from shardwright.model.version import Version

_RAY = "https://docs.ray.io/en/latest/cluster/cli.html#ray-start"
_DROPPED = Version((0, 19, 0))
"""First release whose stock image has no Ray (kubernetes-sigs/lws issue 835)."""


def _starts_ray_head(scene: Scene, member: Member) -> bool:
    """True if some container of the member's pod starts a Ray head, or may."""
    return any(
        other.ray_head is not None or other.command.is_opaque or other.is_kuberay
        for other in scene.members_of(member.workload)
        if other.pod is member.pod
    )


def _ray_head_never_started(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        join = member.ray_join
        if join is None or not join.address or member.workload.is_managed:
            continue
        host, _ = host_of(join.address)
        lead = intended_lead(scene, member, resolve(scene, member.workload, host))
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


def _head_blocks(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        head = member.ray_head
        if head is None or not head.blocks or head.is_background or head.is_conditional:
            continue
        if member.command.engines and member.command.num_programs > head.before + 1:
            yield Found(
                object=head.site.object,
                path=head.site.path,
                near="--block",
                what="ray start --head --block never returns, and the engine is started after it",
            )


def _worker_exits(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        join = member.ray_join
        if join is None or join.blocks or join.is_conditional or member.is_kuberay:
            continue
        is_last = member.command.num_programs == join.before + 1
        if is_last and not member.command.engines and not member.command.is_opaque:
            yield Found(
                object=join.site.object,
                path=join.site.path,
                near="ray start",
                what="ray start returns at once, and the container ends with it",
            )


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


def _host_ip(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        if group.span not in {Span.RAY, Span.KUBERAY, Span.LEADER_WORKER_SET}:
            continue
        on_ray = group.engine.uses_ray or any(m.command.rays for m, _ in group.members)
        if group.engine.engine is not Engine.VLLM or not on_ray:
            continue
        for member, count in group.members:
            variable = member.container.env.get("VLLM_HOST_IP")
            if variable is None:
                if not member.container.has_env_from and not _exports(member):
                    yield Found(
                        object=member.object,
                        path=(*member.container.path, "env"),
                        severity=Severity.WARNING,
                        what=f"{member.pod.role.value} {member.container.name} has no VLLM_HOST_IP",
                    )
            elif (
                variable.value is not None
                and is_known(variable.value)
                and "$" not in (variable.value)
            ):
                yield Found(
                    object=member.object,
                    path=variable.path,
                    severity=Severity.ERROR if (count or 0) > 1 else Severity.WARNING,
                    what=f"VLLM_HOST_IP is the same in every pod: {variable.value}",
                )


def _exports(member: Member) -> bool:
    return member.container.mentions("VLLM_HOST_IP=")


def _nodes_with_ray(scene: Scene) -> Iterator[Found]:
    for _, engine in scene.engines:
        if engine.engine is Engine.VLLM and engine.asks_for_nodes and engine.uses_ray:
            yield Found(
                object=engine.site.object,
                path=engine.site.path,
                near="--nnodes",
                what="--nnodes and --distributed-executor-backend ray exclude each other",
            )


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
        code="ray-head-blocks",
        severity=Severity.ERROR,
        title="an engine behind a Ray head that never returns",
        why=(
            "`ray start --block` stays in the foreground for as long as Ray runs. What follows it"
            " in the script is never reached: Ray is up, and no engine ever starts."
        ),
        remedy="leave out --block on the head; the engine keeps the container running",
        references=(_RAY,),
        check=_head_blocks,
    ),
    Rule(
        code="ray-worker-exits",
        severity=Severity.ERROR,
        title="a Ray worker whose container ends at once",
        why=(
            "Without --block `ray start` puts Ray into the background and returns. As the last"
            " command it ends the container, and its Ray node with it, again and again."
        ),
        remedy="add --block to `ray start --address=...`",
        references=(_RAY,),
        check=_worker_exits,
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
    Rule(
        code="vllm-host-ip-missing",
        severity=Severity.ERROR,
        title="vLLM on Ray without its own pod's address",
        why=(
            "vLLM places its ranks by the address each node reports, which must be the one Ray"
            " knows the node by. With several interfaces it may guess another, and waits for a"
            " placement group that never comes; one fixed address for all pods is always wrong."
        ),
        remedy="set VLLM_HOST_IP from valueFrom.fieldRef.fieldPath: status.podIP in every pod",
        references=("https://docs.vllm.ai/en/stable/serving/parallelism_scaling/",),
        check=_host_ip,
    ),
    Rule(
        code="nnodes-with-ray",
        severity=Severity.ERROR,
        title="--nnodes together with the Ray backend",
        why=(
            "vLLM raises ValueError: nnodes > 1 can only be set when distributed executor backend"
            " is mp, uni or external_launcher."
        ),
        remedy="keep one of them: --nnodes with its rendezvous, or Ray",
        references=("https://docs.vllm.ai/en/stable/serving/parallelism_scaling/",),
        check=_nodes_with_ray,
    ),
)
