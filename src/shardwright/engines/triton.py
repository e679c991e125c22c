"""Triton with the LLM API of TensorRT-LLM: one tritonserver per rank, configured by model.yaml.

Facts are from triton_backend/all_models/llmapi of NVIDIA/TensorRT-LLM and the backend's docs: every
rank runs tritonserver, rank 0 holds the engine, the others wait inside `initialize` for work.
"""

from __future__ import annotations

from shardwright.engines.divisibility import refuse_uneven_or_attention_dp
from shardwright.engines.engine import Engine, Refusal, Serve
from shardwright.engines.environment import http_probes, shared_env, shm_bytes, with_users
from shardwright.engines.mpi import meet_by_mpi
from shardwright.engines.tensorrt_llm import split_layers
from shardwright.model.launch import Mpi, Rendezvous, Role, RunAs
from shardwright.model.monitoring import Metrics
from shardwright.model.process import EnvVar, Per, Port, Probes, Process
from shardwright.model.request import Mechanism, Request
from shardwright.model.text import text
from shardwright.model.volumes import ConfigFiles

PORTS = (
    Port(name="http", number=8000, is_public=True),
    Port(name="grpc", number=8001, is_public=True),
    Port(name="metrics", number=8002, is_public=True),
)
READY = "/v2/health/ready"
USER = 1000  # `triton-server` in the image
SETTINGS = "/etc/shardwright-triton"
REPOSITORY = "/app/all_models/llmapi"  # in the image, read only
QUIET = ("--allow-http=false", "--allow-grpc=false", "--allow-metrics=false")


def meet(version: str, mechanism: Mechanism, num_members: int) -> Rendezvous | Refusal:
    """Say how the members of a group find each other under a mechanism."""
    del version
    meeting = meet_by_mpi("Triton with TensorRT-LLM", mechanism, num_members)
    # on one node the engine starts its own ranks
    return None if isinstance(meeting, Mpi) and num_members == 1 else meeting


def refuse_request(request: Request, version: str) -> tuple[Refusal, ...]:
    """List what Triton cannot do of what is asked."""
    del version
    out = []
    if request.access.api_key_secret:
        reason = "tritonserver does not check API keys; put the key check into the gateway in front"
        out.append(Refusal(code="api-key-not-supported", reason=reason))
    if (request.parallelism.tensor or 1) > request.cluster.gpus_per_node:
        reason = "the Triton backend does not support tensor parallelism between nodes"
        out.append(Refusal(code="tensor-parallel-between-nodes", reason=reason))
    return tuple(out)


def processes(serve: Serve, role: Role) -> tuple[Process, ...]:
    """Write what one member runs; under MPI only rank 0 opens ports."""
    model = EnvVar(
        name="LLM_CONFIG_PATH",
        value=text(f"{SETTINGS}/model.yaml"),
        why="model.py reads its settings from here; the repository of the image stays as it is",
    )
    env = with_users(serve, [model, *shared_env(serve)])
    argv = ("tritonserver", f"--model-repository={REPOSITORY}")
    own = serve.request.engine.extra_args
    is_world = isinstance(serve.rendezvous, Mpi)
    serving = Process(
        name="triton",
        argv=tuple(text(word) for word in (*argv, *own)),
        env=env,
        ports=PORTS,
        probes=http_probes(serve, READY),
        per=Per.RANK if is_world else Per.MEMBER,
        ranks=(0,) if is_world else None,
    )
    if not is_world:
        return (serving,)
    following = Process(
        name="triton-rank",
        argv=tuple(text(word) for word in (*argv, *QUIET, *own)),
        env=env,
        probes=Probes(),
        per=Per.RANK,
        ranks=following_ranks(serve, role),
    )
    return (serving, following) if role is Role.LEADER else (following,)


def following_ranks(serve: Serve, role: Role) -> tuple[int, ...] | None:
    """Ranks of a member that do not serve; None: all of them."""
    if role is Role.WORKER:
        return None
    return tuple(range(1, serve.plan.layout.gpus_per_replica // serve.num_members))


def configs(serve: Serve) -> tuple[ConfigFiles, ...]:
    """Write the model.yaml that all ranks read."""
    engine, layout = serve.request.engine, serve.plan.layout
    lines = [
        f"model: {serve.weights_path}",
        "backend: pytorch",
        f"tensor_parallel_size: {layout.tensor_parallel}",
        f"pipeline_parallel_size: {layout.pipeline_parallel}",
        f"max_seq_len: {serve.plan.max_model_len}",
    ]
    if layout.expert_parallel > 1:
        lines.append(f"moe_expert_parallel_size: {layout.expert_parallel}")
    if engine.max_num_seqs:
        lines.append(f"max_batch_size: {engine.max_num_seqs}")
    if engine.max_num_batched_tokens:
        lines.append(f"max_num_tokens: {engine.max_num_batched_tokens}")
    if engine.gpu_memory_utilization:
        fraction = engine.gpu_memory_utilization
        lines += ["kv_cache_config:", f"  free_gpu_memory_fraction: {fraction}"]
    if serve.request.model.trust_remote_code:
        lines.append("trust_remote_code: true")
    # max_batch_size 0: the backend batches by itself and takes single requests
    lines += ["triton_config:", "  max_batch_size: 0", "  decoupled: true", ""]
    return (
        ConfigFiles(name=f"{serve.request.name}-triton", files=(("model.yaml", "\n".join(lines)),)),
    )


METRICS = Metrics(port="metrics", waiting="nv_inference_pending_request_count")
"""Triton's own, on a port of its own; its histograms are in milliseconds and off by default."""

TRITON = Engine(
    name="triton",
    versions=("26.06",),
    default_version="26.06",
    image=lambda version: f"nvcr.io/nvidia/tritonserver:{version}-trtllm-python-py3",
    split_layers=split_layers,
    refuse_layout=refuse_uneven_or_attention_dp,
    refuse_request=refuse_request,
    meet=meet,
    processes=processes,
    configs=configs,
    settings_path=SETTINGS,
    shm_bytes=shm_bytes,
    metrics=lambda _version: METRICS,
    health_path=READY,
    run_as=lambda _request, _version: RunAs(user=USER, group=USER),
)
