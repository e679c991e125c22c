"""Triton with compiled TensorRT-LLM engines: an engine build, then one tritonserver per rank.

Only images that still carry the engine backend: it was removed upstream in July 2026
(NVIDIA/TensorRT-LLM #15763, #15907, #15918; guide "TensorRT backend removal"). That 26.06 is the
last such release is inferred from the dates; the build checks the image and says so if it is not.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from shardwright.engines.divisibility import refuse_uneven
from shardwright.engines.engine import Engine, Refusal, Serve
from shardwright.engines.environment import http_probes, shared_env, shm_bytes, with_users
from shardwright.engines.mpi import meet_by_mpi
from shardwright.engines.triton import PORTS, QUIET, READY, USER, following_ranks
from shardwright.engines.triton import refuse_request as refuse_any_triton
from shardwright.engines.versions import is_at_least
from shardwright.model.launch import Rendezvous, Role, RunAs, Task, TaskKind
from shardwright.model.layout import Layout
from shardwright.model.process import Per, Probes, Process
from shardwright.model.request import Mechanism, Request
from shardwright.model.shape import ModelShape
from shardwright.model.text import RankIndex, Text, text
from shardwright.model.units import GIB
from shardwright.model.volumes import ConfigFiles, Mount, VolumeKind

LAST_WITH_ENGINES = "26.06"
BUILDER = "/etc/shardwright-build"
MODELS = ("preprocessing", "tensorrt_llm", "postprocessing", "ensemble")
# examples/models/core/<family>/convert_checkpoint.py of TensorRT-LLM 1.0 to 1.2
FAMILIES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen",
    "Qwen2MoeForCausalLM": "qwen",
    "Qwen3ForCausalLM": "qwen",
    "Qwen3MoeForCausalLM": "qwen",
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma",
    "Gemma3ForCausalLM": "gemma",
    "Phi3ForCausalLM": "phi",
}
DEFAULT_BATCH = 256
DEFAULT_BATCHED_TOKENS = 8192  # trtllm-build's own default of max_num_tokens


def split_layers(num_layers: int, pipeline_parallel: int) -> tuple[int, ...]:
    """Split hidden layers over stages evenly; an engine cannot be cut otherwise.

    >>> split_layers(80, 2)
    (40, 40)
    """
    base, extra = divmod(num_layers, pipeline_parallel)
    return (base + 1,) * extra + (base,) * (pipeline_parallel - extra)


def refuse_layout(shape: ModelShape, layout: Layout) -> tuple[Refusal, ...]:
    """List what forbids a layout: as for all engines, and stages of unequal length."""
    out = refuse_uneven(shape, layout)
    if shape.num_layers % layout.pipeline_parallel:
        reason = f"{shape.num_layers} layers cannot be divided by PP={layout.pipeline_parallel}"
        out = (*out, Refusal(code="layers-not-divisible", reason=reason))
    if shape.architecture not in FAMILIES:
        reason = f"no engine can be built for {shape.architecture}; use tensorrt-llm or triton"
        out = (*out, Refusal(code="architecture-not-built", reason=reason))
    if shape.quantization is not None:
        reason = "a quantized checkpoint is not converted to engines; use tensorrt-llm or triton"
        out = (*out, Refusal(code="quantized-not-built", reason=reason))
    return out


def refuse_request(request: Request, version: str) -> tuple[Refusal, ...]:
    """List what cannot be done of what is asked: above all, engines in an image without them."""
    out = refuse_any_triton(request, version)
    if version != LAST_WITH_ENGINES and is_at_least(version, LAST_WITH_ENGINES):
        reason = f"Triton {version} has no TensorRT engine backend: it was removed upstream in July"
        reason += " 2026; use engine triton or tensorrt-llm (PyTorch backend), or version 26.06"
        out = (*out, Refusal(code="engine-backend-removed", reason=reason))
    return out


def meet(version: str, mechanism: Mechanism, num_members: int) -> Rendezvous | Refusal:
    """Say how the members of a group find each other: always one MPI world, even on one node."""
    del version
    return meet_by_mpi("Triton with TensorRT-LLM engines", mechanism, num_members)


def processes(serve: Serve, role: Role) -> tuple[Process, ...]:
    """Write one tritonserver per rank; rank 0 loads all models and opens ports, the others none."""
    env = with_users(serve, shared_env(serve))
    leading = Process(
        name="triton-engines",
        argv=_argv(serve, MODELS, ()),
        env=env,
        ports=PORTS,
        probes=http_probes(serve, READY),
        per=Per.RANK,
        ranks=(0,),
    )
    following = Process(
        name="triton-rank",
        argv=_argv(serve, ("tensorrt_llm",), QUIET),
        env=env,
        probes=Probes(),
        per=Per.RANK,
        ranks=following_ranks(serve, role),
    )
    if role is Role.WORKER:
        return (following,)
    return (leading, following) if following.ranks else (leading,)


def _argv(serve: Serve, models: tuple[str, ...], more: tuple[str, ...]) -> tuple[Text, ...]:
    words = (
        "tritonserver",
        f"--model-repository={repository_path(serve)}",
        "--disable-auto-complete-config",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in models),
        *more,
    )
    # ranks of one node share /dev/shm: without a prefix their python backends collide
    prefix = text("--backend-config=python,shm-region-prefix-name=rank", RankIndex(), "_")
    own = (text(word) for word in serve.request.engine.extra_args)
    return (*(text(word) for word in words), prefix, *own)


def engine_key(serve: Serve) -> str:
    """Key of an engine: it runs on one GPU type, with one release, cut one way.

    Its limits are part of it: an engine for shorter prompts is another engine.
    """
    request, layout = serve.request, serve.plan.layout
    parts = [
        request.model.id,
        request.model.revision or "main",
        request.cluster.gpu,
        serve.version,
        f"tp{layout.tensor_parallel}",
        f"pp{layout.pipeline_parallel}",
        *(f"{name}={value}" for name, value in sorted(_limits(serve).items())),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def repository_path(serve: Serve) -> str:
    """Directory of the Triton model repository, in the claim."""
    return f"/models/.engines/{serve.request.name}-{engine_key(serve)}"


def _limits(serve: Serve) -> dict[str, int]:
    """Limits compiled into the engine, from the workload: batch, tokens per step, length."""
    engine, load = serve.request.engine, serve.request.workload
    batch = engine.max_num_seqs or max(load.concurrency or DEFAULT_BATCH, 1)
    return {
        "max_batch_size": batch,
        "max_num_tokens": engine.max_num_batched_tokens or DEFAULT_BATCHED_TOKENS,
        "max_seq_len": serve.plan.max_model_len,
    }


def tasks(serve: Serve) -> tuple[Task, ...]:
    """Build the engines once, on the GPU type that runs them, into the model repository."""
    request, layout = serve.request, serve.plan.layout
    out = repository_path(serve)
    per_member = layout.gpus_per_replica // serve.num_members
    options = {
        "--model-dir": serve.weights_path,
        "--out": out,
        "--family": FAMILIES.get(serve.shape.architecture, ""),
        "--dtype": request.engine.dtype or serve.shape.dtype,
        "--tp-size": layout.tensor_parallel,
        "--pp-size": layout.pipeline_parallel,
        "--workers": per_member,
        "--kv-cache-fraction": request.engine.gpu_memory_utilization or 0.9,
        **{f"--{name.replace('_', '-')}": value for name, value in _limits(serve).items()},
    }
    words = [word for flag, value in options.items() for word in (flag, str(value))]
    scratch = 2 * serve.checkpoint_bytes
    return (
        Task(
            kind=TaskKind.ENGINE_BUILD,
            name=f"{request.name}-engine",
            key=engine_key(serve),
            image=serve.image,
            argv=tuple(text(word) for word in ("python3", f"{BUILDER}/build_engine.py", *words)),
            mounts=(
                Mount(volume="models", kind=VolumeKind.CLAIM, path="/models", source=serve.claim),
                Mount(
                    volume="build",
                    kind=VolumeKind.CONFIG,
                    path=BUILDER,
                    source=_builder(serve).name,
                    is_read_only=True,
                ),
            ),
            gpus=per_member,
            cpu_millis=4000 * per_member,
            # the converter holds the checkpoint once as read and once as cut; assumed
            memory_bytes=-(-scratch // GIB) * GIB + 32 * GIB,
            inputs=(serve.weights_path,),
            outputs=(out,),
            done_marker=f"{out}/.shardwright-complete",
            deadline_s=serve.budgets.download_s + 4 * 3600,
        ),
    )


def _builder(serve: Serve) -> ConfigFiles:
    script = files("shardwright.engines.pods").joinpath("build_engine.py")
    return ConfigFiles(
        name=f"{serve.request.name}-engine-build",
        files=(("build_engine.py", script.read_text(encoding="utf-8")),),
    )


def configs(serve: Serve) -> tuple[ConfigFiles, ...]:
    """Carry the build script."""
    return (_builder(serve),)


TRITON_ENGINES = Engine(
    name="triton-engines",
    versions=("26.06", "25.08", "25.03"),
    default_version=LAST_WITH_ENGINES,
    image=lambda version: f"nvcr.io/nvidia/tritonserver:{version}-trtllm-python-py3",
    split_layers=split_layers,
    refuse_layout=refuse_layout,
    refuse_request=refuse_request,
    meet=meet,
    processes=processes,
    tasks=tasks,
    configs=configs,
    shm_bytes=shm_bytes,
    health_path=READY,
    run_as=lambda _request, _version: RunAs(user=USER, group=USER),
)
