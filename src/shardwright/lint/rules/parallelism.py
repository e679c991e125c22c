"""Ranks against GPUs, heads and nodes."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.command.dialects import Engine
from shardwright.lint.finding import Found, Rule
from shardwright.lint.groups import Group, Span
from shardwright.lint.modelfacts import model_facts
from shardwright.lint.reading import integer
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


def _heads_not_divided(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.engines:
        tensor = engine.tensor_parallel
        facts = model_facts(engine.model) if tensor and tensor > 1 else None
        if facts is None or tensor is None or engine.has("--enable-dp-attention"):
            continue
        if facts.num_attention_heads % tensor:
            heads = facts.num_attention_heads
            fitting = [n for n in range(tensor, 0, -1) if heads % n == 0]
            yield Found(
                object=member.object,
                path=engine.site.path,
                near="tensor" if engine.has(engine.dialect.tensor[0]) else "",
                severity=Severity.ERROR if facts.is_certain else Severity.WARNING,
                what=f"{facts.id} has {heads} attention heads, which {tensor} ranks cannot share",
                remedy=f"set tensor parallel to {fitting[0]}, and the rest as pipeline stages",
            )


def _tensor_across_nodes(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        tensor = group.engine.tensor_parallel
        per_pod = group.lead.container.gpus
        if not group.is_distributed or not tensor or not per_pod or tensor <= per_pod:
            continue
        container = group.lead.container
        has_fabric = (
            container.rdma_resources
            or container.is_privileged
            or container.mount_at("/dev/infiniband")
            or "resourceClaims" in group.lead.pod.data
        )
        if not has_fabric and not group.lead.workload.is_managed:
            yield Found(
                object=group.lead.object,
                path=group.engine.site.path,
                near="tensor" if group.engine.has(group.engine.dialect.tensor[0]) else "",
                what=(
                    f"TP={tensor} spans {-(-tensor // per_pod)} nodes of {per_pod} GPUs, and no"
                    " RDMA device is requested"
                ),
                remedy=f"set tensor parallel to {per_pod} and pipeline parallel to the nodes",
            )


def _length_beyond_model(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.engines:
        flag = engine.find(engine.dialect.max_length) if engine.dialect.max_length else None
        length = read_tokens(flag.value) if flag else None
        facts = model_facts(engine.model) if length else None
        is_stretched = engine.has("--rope-scaling", "--hf-overrides", "--json-model-override-args")
        allowed = "VLLM_ALLOW_LONG_MAX_MODEL_LEN" in member.container.env
        if flag is None or facts is None or length is None or is_stretched or allowed:
            continue
        if engine.engine is Engine.VLLM and length > facts.max_positions:
            yield Found(
                object=member.object,
                path=engine.site.path,
                near=flag.typed,
                severity=Severity.ERROR if facts.is_certain else Severity.WARNING,
                what=f"{flag.typed} {length} exceeds {facts.id}'s {facts.max_positions} positions",
                remedy=f"set it to {facts.max_positions} or less",
            )


def read_tokens(value: str | None) -> int | None:
    """Read a number of tokens, with vLLM's suffixes: `32k` is 32,000, `32K` 32,768."""
    if value and value[-1] in _TOKEN_UNITS and (number := integer(value[:-1])) is not None:
        return number * _TOKEN_UNITS[value[-1]]
    return integer(value)


_TOKEN_UNITS = {"k": 1000, "K": 1024, "m": 10**6, "M": 2**20}


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
    Rule(
        code="heads-not-divided",
        severity=Severity.ERROR,
        title="tensor parallel does not divide the attention heads",
        why=(
            "Tensor parallelism gives every rank the same number of attention heads. Engines refuse"
            " a size that does not divide them: Total number of attention heads must be divisible"
            " by tensor parallel size."
        ),
        remedy="choose a divisor of the heads",
        references=(_VLLM,),
        check=_heads_not_divided,
    ),
    Rule(
        code="tensor-parallel-across-nodes",
        severity=Severity.WARNING,
        title="tensor parallelism between nodes on a slow fabric",
        why=(
            "Every layer ends in an all-reduce among the tensor-parallel ranks. Over NVLink that"
            " takes microseconds; over sockets between nodes it dominates every token."
        ),
        remedy="keep tensor parallel within a node, and make the nodes pipeline stages",
        references=(_VLLM,),
        check=_tensor_across_nodes,
    ),
    Rule(
        code="length-beyond-model",
        severity=Severity.ERROR,
        title="a context longer than the model has positions",
        why="vLLM refuses a max_model_len above what the model's config allows.",
        remedy="lower it, or stretch the positions on purpose with --hf-overrides",
        references=("https://docs.vllm.ai/en/stable/configuration/engine_args/",),
        check=_length_beyond_model,
    ),
)
