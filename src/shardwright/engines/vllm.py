"""vLLM: `vllm serve` on one node, over Ray, or Ray-free over several nodes.

Facts are from the source of vllm 0.32.0 unless a line says otherwise.
"""

from __future__ import annotations

from shardwright.engines.divisibility import refuse_uneven
from shardwright.engines.engine import Engine, Refusal, Serve
from shardwright.engines.environment import (
    http_probes,
    shared_env,
    shm_for,
    with_users,
)
from shardwright.engines.versions import is_at_least
from shardwright.engines.vllm_reading import VLLM_READING
from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL
from shardwright.model.launch import Ray, Rendezvous, Role, RunAs, TorchStore
from shardwright.model.monitoring import Metrics
from shardwright.model.process import EnvVar, Phase, Port, Probes, Process
from shardwright.model.request import Mechanism, Request
from shardwright.model.text import (
    GroupSize,
    LeaderHost,
    MemberIndex,
    OwnAddress,
    SecretValue,
    Text,
    text,
)
from shardwright.model.units import GIB, MIB

HTTP_PORT = 8000
STORE_PORT = 29501  # vLLM's own default for --master-port
RAY_PORT = 6379
NNODES_SINCE = "0.11.1"  # first sampled version with --nnodes
PATIENT_SINCE = "0.18.1"  # first sampled version with --distributed-timeout-seconds

LOG_PATTERNS = {
    "load": r"Starting to load model",
    "weights": r"Model loading took|Loading (?:model )?weights took",
    "compile": r"KV cache size: [\d,]+ tokens|# (?:GPU|CPU) blocks:",
    "graphs": r"init engine \(profile, create kv cache, warmup model\) took",
    "ready": r"Application startup complete",
}


QUANTIZATIONS = {
    "fp8": 7.5, "int8": 7.5, "awq": 7.5, "gptq": 7.5, "int4": 8.0, "mxfp4": 8.0, "nvfp4": 8.0,
}  # fmt: skip
"""Below the GPU's own arithmetic (FP8: 8.9, FP4: 10.0) Marlin kernels widen weights to 16 bits.
Source: docs.vllm.ai v0.32 features/quantization and its FP8 page; the FP4 fallback's own warning,
"weight-only FP4 compression will be used leveraging the Marlin kernel". Read 2026-11-26."""


def split_layers(num_layers: int, pipeline_parallel: int) -> tuple[int, ...]:
    """Split hidden layers over stages as vLLM does; the last stage never gets an extra one.

    Source: vllm/distributed/utils.py, get_pp_indices.

    >>> split_layers(126, 4)
    (31, 32, 32, 31)
    """
    parts = [num_layers // pipeline_parallel] * pipeline_parallel
    for i in range(2, num_layers % pipeline_parallel + 2):
        parts[-i] += 1
    return tuple(parts)


def meet(version: str, mechanism: Mechanism, num_members: int) -> Rendezvous | Refusal:
    """Say how the members of a group find each other under a mechanism."""
    if mechanism is Mechanism.MPI:
        return Refusal(
            code="engine-not-on-mechanism",
            reason="vLLM has no MPI launcher; use lws, statefulset, ray-statefulset or kuberay",
        )
    if mechanism is Mechanism.DEPLOYMENT:
        if num_members == 1:
            return None
        return Refusal(
            code="deployment-is-one-node",
            reason=f"a Deployment cannot hold a group of {num_members} members together; use lws",
        )
    if mechanism in (Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY):
        return Ray(port=RAY_PORT)
    if is_at_least(version, NNODES_SINCE):
        return TorchStore(port=STORE_PORT)
    if mechanism is Mechanism.LWS:
        return Ray(port=RAY_PORT)
    return Refusal(
        code="engine-needs-ray",
        reason=f"vLLM {version} has no --nnodes (first in {NNODES_SINCE}); use ray-statefulset",
    )


def processes(serve: Serve, role: Role) -> tuple[Process, ...]:
    """Write what one member runs. Under Ray only the leader runs vLLM; Ray starts the workers."""
    if isinstance(serve.rendezvous, Ray) and role is Role.WORKER:
        return ()
    serves_http = role is Role.LEADER
    ports = (Port(name="http", number=HTTP_PORT, is_public=True),) if serves_http else ()
    if isinstance(serve.rendezvous, TorchStore) and serve.num_members > 1 and serves_http:
        ports = (*ports, Port(name="store", number=serve.rendezvous.port))
    return (
        Process(
            name="vllm",
            argv=_argv(serve, role),
            env=_env(serve),
            ports=ports,
            probes=http_probes(serve, "/health") if serves_http else Probes(),
            phases=_phases(serve, role),
        ),
    )


def _argv(serve: Serve, role: Role) -> tuple[Text, ...]:
    engine, layout = serve.request.engine, serve.plan.layout
    argv = ["vllm", "serve", serve.weights_path, "--served-model-name", serve.request.model.id]
    argv += ["--tensor-parallel-size", str(layout.tensor_parallel)]
    argv += ["--pipeline-parallel-size", str(layout.pipeline_parallel)]
    if layout.data_parallel > 1:
        argv += ["--data-parallel-size", str(layout.data_parallel)]
    if layout.expert_parallel > 1:
        argv += ["--enable-expert-parallel"]
    argv += ["--max-model-len", str(serve.plan.max_model_len)]
    options = {
        "--gpu-memory-utilization": engine.gpu_memory_utilization,
        "--max-num-seqs": engine.max_num_seqs,
        "--max-num-batched-tokens": engine.max_num_batched_tokens,
        "--dtype": engine.dtype,
        "--quantization": engine.quantization,
        "--kv-cache-dtype": engine.kv_cache_dtype,
    }
    for flag, value in options.items():
        if value is not None:
            argv += [flag, str(value)]
    if serve.request.model.trust_remote_code:
        argv += ["--trust-remote-code"]
    if is_at_least(serve.version, PATIENT_SINCE) and serve.plan.layout.gpus_per_replica > 1:
        timeout = str(serve.budgets.distributed_timeout_s)
        argv += ["--distributed-timeout-seconds", timeout]
    if serve.num_members == 1 and is_at_least(serve.version, DRAINS_SINCE):
        argv += ["--shutdown-timeout", str(serve.budgets.requests_s)]
    out = [text(a) for a in argv] + _meeting_argv(serve, role)
    if role is Role.LEADER:
        out += [text("--host"), text("0.0.0.0"), text("--port"), text(str(HTTP_PORT))]  # noqa: S104
    return (*out, *(text(a) for a in engine.extra_args))


def _meeting_argv(serve: Serve, role: Role) -> list[Text]:
    if isinstance(serve.rendezvous, Ray):
        return [text("--distributed-executor-backend"), text("ray")]
    if not isinstance(serve.rendezvous, TorchStore) or serve.num_members == 1:
        return []
    argv = [
        text("--nnodes"),
        text(GroupSize()),
        text("--node-rank"),
        text(MemberIndex()),
        text("--master-addr"),
        text(LeaderHost()),
        text("--master-port"),
        text(str(serve.rendezvous.port)),
    ]
    return argv if role is Role.LEADER else [*argv, text("--headless")]


def _env(serve: Serve) -> tuple[EnvVar, ...]:
    env = [
        EnvVar(
            name="VLLM_HOST_IP",
            value=text(OwnAddress()),
            why="must be unique per member and the address the rendezvous knows it by",
        ),
        EnvVar(
            name="VLLM_ENGINE_READY_TIMEOUT_S",
            value=text(str(serve.budgets.engine_ready_s)),
            why="600 s by default, shorter than the load of a large model",
        ),
        EnvVar(name="VLLM_NO_USAGE_STATS", value=text("1"), why="no call home"),
        *shared_env(serve),
    ]
    secret = serve.request.access.api_key_secret
    if secret:
        env.append(EnvVar(name="VLLM_API_KEY", value=text(SecretValue(secret, "api-key"))))
    return with_users(serve, env)


def _phases(serve: Serve, role: Role) -> tuple[Phase, ...]:
    b = serve.budgets
    load = Phase(name="load", pattern=LOG_PATTERNS["load"], budget_s=b.rendezvous_s)
    weights = Phase(name="weights", pattern=LOG_PATTERNS["weights"], budget_s=b.load_s)
    if role is Role.WORKER:
        return (load, weights)
    return (
        load,
        weights,
        Phase(name="compile", pattern=LOG_PATTERNS["compile"], budget_s=b.compile_s),
        Phase(name="graphs", pattern=LOG_PATTERNS["graphs"], budget_s=b.graphs_s),
        Phase(name="ready", pattern=LOG_PATTERNS["ready"], budget_s=60),
    )


def shm_bytes(local_ranks: int, copies: int, rendezvous: Rendezvous) -> int:
    """Shared memory one member needs, rounded up to whole GiB.

    Rings of the message queues: in each data-parallel copy one broadcast of 10 chunks x 16 MiB
    (VLLM_MQ_MAX_CHUNK_BYTES_MB) and one response queue per rank of 10 x 24 MiB (shm_broadcast.py),
    in copies of one rank none (executor "uni"). NCCL, should it fall back to shared memory: per
    rank 16 channels x 10 MiB of buffers (4 MiB simple, 5.6 MiB LL128, 0.5 MiB LL). Ray keeps its
    object store there as well; we size it to 1 GiB.

    >>> shm_bytes(8, 1, None) // GIB, shm_bytes(8, 8, None) // GIB, shm_bytes(1, 1, None) // GIB
    (4, 2, 1)
    """
    has_rings = copies == 1 or local_ranks > copies
    rings = (copies * 10 * 16 * MIB + local_ranks * 10 * 24 * MIB) if has_rings else 0
    ray = GIB if isinstance(rendezvous, Ray) else 0
    return shm_for(local_ranks, rings + ray)


def metrics(version: str) -> Metrics:
    """Name what it exposes. Source: facts/engines/vllm-metrics-history.csv.

    >>> metrics("0.33.0").kv_usage, metrics("0.6.6").kv_usage
    ('vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc')
    """
    usage = "kv_cache_usage_perc" if is_at_least(version, "0.9.2") else "gpu_cache_usage_perc"
    itl = "inter_token_latency" if is_at_least(version, "0.10.2") else "time_per_output_token"
    return Metrics(
        running="vllm:num_requests_running",
        waiting="vllm:num_requests_waiting",
        kv_usage=f"vllm:{usage}",
        ttft_s="vllm:time_to_first_token_seconds",
        itl_s=f"vllm:{itl}_seconds",
    )


DRAINS_SINCE = "0.18.1"
"""First sampled release with --shutdown-timeout; its default, 0, aborts requests at SIGTERM. Not
for groups of several members: a rank that ended first would hold the others up until the timeout,
so their preStop waits for the requests instead.
"""
NON_ROOT_SINCE = "0.26.0"
"""First release whose pages tell of the user; merged upstream in May 2026 (vllm pull 40275)."""


def run_as(request: Request, version: str) -> RunAs | None:
    """Name the user of vLLM's own image, `vllm`: its home, where caches are, is group 0's too."""
    is_own = request.engine.image is None
    return RunAs(user=2000, group=0) if is_own and is_at_least(version, NON_ROOT_SINCE) else None


VLLM = Engine(
    name="vllm",
    versions=("0.33.0", "0.32.0", "0.28.0", "0.25.1", "0.20.2", "0.19.1", "0.11.1", "0.6.6"),
    default_version="0.33.0",
    image=lambda version: f"vllm/vllm-openai:v{version}",
    split_layers=split_layers,
    refuse_layout=refuse_uneven,
    meet=meet,
    processes=processes,
    shm_bytes=shm_bytes,
    metrics=metrics,
    quantizations=QUANTIZATIONS,
    rehearsal=VLLM_REHEARSAL,
    reading=VLLM_READING,
    run_as=run_as,
    compile_cache_env="VLLM_CACHE_ROOT",
)
