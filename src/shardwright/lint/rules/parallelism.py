"""Ranks against GPUs, heads and nodes."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.command.dialects import Engine
from shardwright.lint.finding import Found, Rule
from shardwright.lint.groups import Group, Span
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity

_VLLM = "https://docs.vllm.ai/en/stable/serving/parallelism_scaling/"


def data_copies(group: Group) -> int:
    """Copies of the model inside one group (vLLM's and SGLang's data parallelism)."""
    engine = group.engine
    if engine.engine is Engine.SGLANG and engine.has("--enable-dp-attention"):
        return 1
    local = engine.find(("--data-parallel-size-local", "-dpl"))
    if local is not None and group.span is Span.POD:
        return engine.size(("--data-parallel-size-local", "-dpl")) or 1
    if group.engine.has("--data-parallel-external-lb", "-dpe", "--data-parallel-rank", "-dpn"):
        return 1
    return engine.size(engine.dialect.data) or 1 if engine.dialect.data else 1


def _is_judgeable(group: Group) -> bool:
    """True where ranks and GPUs are both in the text."""
    container = group.lead.container
    is_external_dp = group.engine.has(
        "--data-parallel-address", "-dpa", "--data-parallel-hybrid-lb"
    )
    return not (
        group.lead.workload.is_managed
        or container.has_gpu_slice
        or is_external_dp
        or group.engine.engine is Engine.TRITON
        or group.engine.has("--config", "--headless")
    )


def _gpus_do_not_match_ranks(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        ranks, gpus = group.engine.ranks, group.gpus
        if ranks is None or gpus is None or not _is_judgeable(group):
            continue
        copies = data_copies(group)
        needed = ranks * copies
        if needed == gpus or (gpus == 0 and needed == 1):
            continue
        if gpus == 0 and not _wants_gpus(group):
            continue
        if group.span is Span.POD and _is_replicas_meant_as_ranks(group, needed):
            continue
        engine = group.engine
        cut = f"TP={engine.tensor_parallel} x PP={engine.pipeline_parallel}"
        cut += f" x DP={copies}" if copies > 1 else ""
        where = "its pod" if group.span is Span.POD else f"the group of {group.num_pods} pods"
        few = needed > gpus
        yield Found(
            object=group.lead.object,
            path=engine.site.path,
            near="tensor" if engine.has(*engine.dialect.tensor[:1]) else "",
            severity=Severity.ERROR if few else Severity.WARNING,
            what=f"{engine.dialect.title} starts {needed} ranks ({cut}); {where} has {gpus} GPUs",
            why=(
                "The engine refuses to start, or waits forever for GPUs that nobody gives it."
                if few
                else f"{gpus - needed} GPUs are reserved, paid for, and never used."
            ),
            remedy=_remedy(group, needed, gpus),
        )


def _wants_gpus(group: Group) -> bool:
    image = group.lead.container.image.reference.lower()
    words = ("cpu", "tpu", "neuron", "hpu", "gaudi", "xpu", "sim", "npu", "ascend", "arm")
    flag = group.engine.find(("--device",))
    return not any(word in image for word in words) and flag is None


def _remedy(group: Group, needed: int, gpus: int) -> str:
    engine = group.engine
    pods = group.num_pods or 1
    per_pod = gpus // pods if pods else 0
    if group.is_distributed and per_pod and needed % per_pod == 0:
        return (
            f"{needed // per_pod} pods of {per_pod} GPUs carry {needed} ranks; or set tensor"
            f" parallel to {per_pod} and pipeline parallel to {pods}"
        )
    if not group.is_distributed and needed > gpus > 0:
        return (
            f"request {needed} GPUs, or set tensor parallel times pipeline parallel to {gpus}; a"
            " model that needs several pods is started with LeaderWorkerSet, Ray or --nnodes"
        )
    if gpus == 0:
        return f"add resources.limits with nvidia.com/gpu: {needed} to the engine's container"
    return f"make {' times '.join(f.lstrip('-') for f in _names(engine.dialect))} equal {gpus}"


def _names(dialect: object) -> tuple[str, ...]:
    tensor = getattr(dialect, "tensor", ())
    pipeline = getattr(dialect, "pipeline", ())
    return (*tensor[:1], *pipeline[:1])


def _is_replicas_meant_as_ranks(group: Group, needed: int) -> bool:
    gpus = group.gpus or 0
    return group.instances > 1 and gpus > 0 and needed == gpus * group.instances


def _replicas_instead_of_ranks(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        ranks = group.engine.ranks
        if group.span is not Span.POD or ranks is None or not _is_judgeable(group):
            continue
        needed = ranks * data_copies(group)
        if _is_replicas_meant_as_ranks(group, needed):
            yield Found(
                object=group.lead.object,
                path=("spec", "replicas"),
                what=(
                    f"{group.instances} replicas of {group.gpus} GPUs look like one model of"
                    f" {needed} ranks, but each replica starts all {needed} ranks alone"
                ),
            )


RULES = (
    Rule(
        code="gpus-do-not-match-ranks",
        severity=Severity.ERROR,
        title="TP x PP is not the number of GPUs of the group",
        why="One rank runs on one GPU: more ranks than GPUs cannot start, fewer leave GPUs idle.",
        remedy="make tensor parallel times pipeline parallel equal the GPUs of the group",
        references=(_VLLM,),
        check=_gpus_do_not_match_ranks,
    ),
    Rule(
        code="replicas-instead-of-ranks",
        severity=Severity.ERROR,
        title="replicas where sharding was meant",
        why=(
            "Replicas are independent copies. Nothing in a Deployment or StatefulSet joins them"
            " into one model; each copy needs all its GPUs in its own pod, or a rendezvous."
        ),
        remedy=(
            "use a LeaderWorkerSet (or a StatefulSet with --nnodes, --node-rank, --master-addr)"
            " whose size is the number of nodes, and one replica"
        ),
        references=(_VLLM, "https://lws.sigs.k8s.io/docs/overview/"),
        check=_replicas_instead_of_ranks,
    ),
)
