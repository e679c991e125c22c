"""Ray Serve's own configuration of an engine, against the GPUs of the Ray cluster below it."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.documents import read_documents
from shardwright.lint.finding import Found, Rule
from shardwright.lint.reading import dig, integer, mapping, mappings, text
from shardwright.lint.scene import Scene
from shardwright.lint.workload.container import GPU_RESOURCES
from shardwright.model.finding import Severity

_LLM = "ray.serve.llm"
_CLUSTER = ("spec", "rayClusterConfig")


def _serve_config_gpus(scene: Scene) -> Iterator[Found]:
    for obj in scene.by_kind.get("RayService", ()):
        config = text(dig(obj.data, "spec", "serveConfigV2"))
        if _LLM not in config:
            continue
        gpus = _most_gpus(obj.data)
        for model, cut, ranks in _engines(config):
            if gpus is None or ranks <= gpus:
                continue
            yield Found(
                object=obj,
                path=("spec", "serveConfigV2"),
                near="tensor_parallel_size",
                what=(
                    f"{model} is cut into {ranks} ranks ({cut}); the Ray cluster has {gpus} GPUs"
                    " at most"
                ),
                remedy=f"raise the workers' replicas or GPUs to {ranks} in all, or cut it less",
            )


def _engines(config: str) -> Iterator[tuple[str, str, int]]:
    """Yield model, cut and ranks of every engine that ray.serve.llm starts with whole numbers."""
    documents, _ = read_documents(config)
    for document in documents:
        for _, application in mappings(mapping(document.value).get("applications")):
            if not text(application.get("import_path")).startswith(_LLM):
                continue
            for _, each in mappings(dig(application, "args", "llm_configs")):
                kwargs = mapping(each.get("engine_kwargs"))
                tensor = integer(kwargs.get("tensor_parallel_size", 1))
                pipeline = integer(kwargs.get("pipeline_parallel_size", 1))
                if tensor and pipeline:
                    model = text(dig(each, "model_loading_config", "model_id")) or "the model"
                    yield model, f"TP={tensor} x PP={pipeline}", tensor * pipeline


def _most_gpus(data: dict[str, object]) -> int | None:
    """Count the GPUs of the cluster at its largest; None where some are not whole devices."""
    head = dig(data, *_CLUSTER, "headGroupSpec")
    counts = [_gpus(dig(head, "template", "spec"))]
    for _, group in mappings(dig(data, *_CLUSTER, "workerGroupSpecs")):
        most = max(integer(group.get("maxReplicas")) or 0, integer(group.get("replicas")) or 0)
        each = _gpus(dig(group, "template", "spec"))
        hosts = integer(group.get("numOfHosts")) or 1
        counts.append(None if each is None else each * max(most, 1) * hosts)
    return None if None in counts else sum(count or 0 for count in counts)


def _gpus(pod: object) -> int | None:
    found = 0
    for _, container in mappings(dig(pod, "containers")):
        limits = mapping(dig(container, "resources", "limits"))
        if dig(pod, "resourceClaims") or any(_is_other_device(str(name)) for name in limits):
            return None
        found += sum(integer(limits.get(name)) or 0 for name in GPU_RESOURCES)
    return found


def _is_other_device(resource: str) -> bool:
    """True for accelerators that are counted otherwise: slices of GPUs, TPUs, Neuron devices."""
    return resource.startswith(("nvidia.com/mig-", "nvidia.com/gpu.shared")) or (
        resource.partition("/")[2] in {"tpu", "neuron", "neuroncore", "neurondevice"}
    )


RULES = (
    Rule(
        code="serve-config-without-gpus",
        severity=Severity.ERROR,
        title="Ray Serve is told of more ranks than the cluster has GPUs",
        why=(
            "ray.serve.llm asks Ray for a placement group of one GPU per rank. One that the"
            " cluster cannot hold at its largest stays pending: the pods run, the RayService never"
            " becomes ready, and nothing says why."
        ),
        remedy="make tensor_parallel_size x pipeline_parallel_size fit the workers' GPUs",
        references=("https://docs.ray.io/en/latest/serve/llm/index.html",),
        check=_serve_config_gpus,
    ),
)
