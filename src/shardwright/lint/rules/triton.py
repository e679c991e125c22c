"""Triton and TensorRT-LLM: processes against ranks, and what each release still has."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.command.dialects import Engine, version_of
from shardwright.lint.command.invocation import EngineInvocation
from shardwright.lint.finding import Found, Rule
from shardwright.lint.reading import integer
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity
from shardwright.model.version import Version

_BACKEND = "https://github.com/triton-inference-server/tensorrtllm_backend"
_REMOVAL = "https://nvidia.github.io/TensorRT-LLM/legacy/tensorrt-backend-removal.html"
_LLM_API_SINCE = Version((25, 3, 0))
"""First Triton image with the LLM-API backend, whose one process spawns its ranks itself."""
_ENGINES_GONE = Version((1, 3, 0), -1, 22)
"""First TensorRT-LLM release dated after the engine backend was removed (1.3.0rc22)."""
_BUILDERS = ("trtllm-build", "convert_checkpoint.py")
_SIZES = ("TP_SIZE", "TENSOR_PARALLEL_SIZE", "WORLD_SIZE", "TP", "TENSOR_PARALLELISM")


def _tritons(scene: Scene) -> Iterator[tuple[Member, EngineInvocation]]:
    for member, engine in scene.engines:
        if engine.engine is Engine.TRITON and "trtllm" in member.container.image.tag:
            yield member, engine


def _single_process(scene: Scene) -> Iterator[Found]:
    for member, engine in _tritons(scene):
        ranks = engine.mpi_ranks
        is_launched = engine.has("--world-size") or ranks is not None
        is_launched |= len([e for e in member.command.engines if e.engine is Engine.TRITON]) > 1
        is_orchestrated = member.container.env_value("TRTLLM_ORCHESTRATOR") == "1"
        if is_launched or is_orchestrated or engine.is_conditional:
            continue
        known, container = _stated_ranks(scene, member), member.container
        gpus = container.gpus
        if (known or gpus) < 2:
            continue
        version = version_of(container.image, Engine.TRITON)
        is_old = version is not None and version < _LLM_API_SINCE
        has_llm_api = container.mentions("llmapi") or container.mentions("model.yaml")
        if has_llm_api:
            continue
        count = f"{known} ranks" if known else f"{gpus} GPUs"
        yield Found(
            object=member.object,
            path=engine.site.path,
            near="tritonserver",
            severity=Severity.ERROR if is_old or known else Severity.WARNING,
            what=f"one tritonserver process for {count}: an engine needs a process per rank",
            remedy=(
                f"start it with mpirun: one tritonserver per rank (`mpirun -n {known or gpus} ...`,"
                f" or launch_triton_server.py --world_size={known or gpus}), ranks above 0 with"
                " --allow-http=false --allow-grpc=false --allow-metrics=false"
            ),
        )


def _stated_ranks(scene: Scene, member: Member) -> int | None:
    """Find what the manifest says of the engine's ranks: an env, or the Job that built it."""
    for name in _SIZES:
        value = integer(member.container.env_value(name))
        if value is not None and value > 1:
            return value
    for other in scene.workloads:
        if other.kind not in {"Job", "CronJob"} or other.namespace != member.workload.namespace:
            continue
        for pod in other.pods:
            for container in (*pod.init_containers, *pod.containers):
                text = " ".join(container.words)
                if "convert_checkpoint" in text or "trtllm-build" in text:
                    return _option(text, "--tp_size") * _option(text, "--pp_size")
    return None


def _option(text: str, name: str) -> int:
    words = text.replace("=", " ").split()
    at = words.index(name) if name in words else -1
    return (integer(words[at + 1]) or 1) if 0 <= at < len(words) - 1 else 1


def _world_size(scene: Scene) -> Iterator[Found]:
    for member, engine in _tritons(scene):
        flag = engine.find(("--world-size",))
        size = integer(flag.value) if flag else None
        gpus = member.container.gpus
        is_alone = member.workload.kind in {"Deployment", "StatefulSet", "Pod"}
        if size is not None and gpus and size != gpus and is_alone:
            yield Found(
                object=member.object,
                path=engine.site.path,
                near="world_size",
                severity=Severity.ERROR if size > gpus else Severity.WARNING,
                what=f"--world_size {size} on {gpus} GPUs",
            )


def _explicit_control(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.engines:
        if engine.engine is not Engine.TRITON or not engine.has("--load-model"):
            continue
        mode = engine.find(("--model-control-mode",))
        if mode is None or mode.value != "explicit":
            yield Found(
                object=member.object,
                path=engine.site.path,
                near="--load-model",
                what="--load-model without --model-control-mode=explicit",
            )


def _engine_build_gone(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        for pod in workload.pods:
            for container in (*pod.init_containers, *pod.containers):
                version = version_of(container.image, Engine.TENSORRT_LLM)
                if version is None or version < _ENGINES_GONE:
                    continue
                tool = next((each for each in _BUILDERS if container.mentions(each)), None)
                if tool:
                    yield Found(
                        object=workload.manifest,
                        path=container.path,
                        near=tool,
                        what=f"TensorRT-LLM {version} has no {tool}: engines are no longer built",
                    )


RULES = (
    Rule(
        code="triton-single-process",
        severity=Severity.ERROR,
        title="one Triton process for an engine of several ranks",
        why=(
            "A TensorRT-LLM engine is one file per rank, and the backend runs one rank per process"
            " under MPI. One tritonserver loads rank 0 alone and stops at the world size; the other"
            " GPUs stay empty."
        ),
        remedy="start one tritonserver per rank with mpirun",
        references=(_BACKEND,),
        check=_single_process,
    ),
    Rule(
        code="triton-world-size",
        severity=Severity.ERROR,
        title="--world_size is not the number of GPUs",
        why="launch_triton_server.py starts one process per rank, and each takes one GPU.",
        remedy="make --world_size equal the engine's TP x PP and the GPUs of the pod",
        references=(_BACKEND,),
        check=_world_size,
    ),
    Rule(
        code="triton-load-model",
        severity=Severity.ERROR,
        title="--load-model without explicit model control",
        why="tritonserver accepts --load-model only with --model-control-mode=explicit.",
        remedy="add --model-control-mode=explicit",
        references=(
            "https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_management.html",
        ),
        check=_explicit_control,
    ),
    Rule(
        code="engine-build-removed",
        severity=Severity.ERROR,
        title="an engine build on a TensorRT-LLM without engines",
        why=(
            "TensorRT-LLM removed its engine backend in mid-2026, with trtllm-build and the"
            " conversion scripts; checkpoints are served directly."
        ),
        remedy="serve the checkpoint with trtllm-serve, or pin a release up to 1.2.1",
        references=(_REMOVAL,),
        check=_engine_build_gone,
    ),
)
