"""SGLang: the same `launch_server` on every node, told apart by its rank; never Ray.

Facts are from the argument parser and source of sglang 0.5.23 unless a line says otherwise.
"""

from __future__ import annotations

from shardwright.engines.divisibility import refuse_uneven
from shardwright.engines.engine import Engine, Refusal, Serve
from shardwright.engines.environment import (
    http_probes,
    shared_env,
    shm_bytes,
    with_users,
)
from shardwright.engines.versions import is_at_least
from shardwright.model.launch import Rendezvous, Role, TorchStore
from shardwright.model.monitoring import Metrics
from shardwright.model.process import Phase, Port, Probes, Process
from shardwright.model.request import Mechanism, Request
from shardwright.model.text import GroupSize, LeaderHost, MemberIndex, Text, text

HTTP_PORT = 30000  # SGLang's own default
STORE_PORT = 20000
ATTENTION_DP_SINCE = "0.5.22"  # first sampled with --attn-dp-size
PIPELINE_SINCE = "0.4.6"  # first sampled with --pp-size: 0.4.6.post5

LOG_PATTERNS = {
    "load": r"Load weight begin",
    "weights": r"Load weight end",
    "kv-cache": r"KV Cache is allocated|max_total_num_tokens=",
    "graphs": r"Capture .*cuda graph begin|Capture .* CUDA graph begin",
    "ready": r"The server is fired up and ready to roll",
}


QUANTIZATIONS = {"fp8": 8.0, "int8": 8.0, "awq": 8.0, "gptq": 8.0, "mxfp4": 9.0, "nvfp4": 10.0}
"""Source: docs.sglang.io advanced_features/quantization, read 2026-11-26: NVFP4 is ModelOpt's and
meant for Blackwell; the least capability of the others is assumed where the page gives none."""


def split_layers(num_layers: int, pipeline_parallel: int) -> tuple[int, ...]:
    """Split hidden layers over stages as SGLang does: the last stages get the extra ones.

    Source: sglang/srt/distributed/utils.py, get_pp_indices.

    >>> split_layers(126, 4)
    (31, 31, 32, 32)
    """
    base, extra = divmod(num_layers, pipeline_parallel)
    return (base,) * (pipeline_parallel - extra) + (base + 1,) * extra


def meet(version: str, mechanism: Mechanism, num_members: int) -> Rendezvous | Refusal:
    """Say how the members of a group find each other under a mechanism."""
    del version
    if mechanism in (Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY):
        reason = "SGLang starts its ranks itself and meets without Ray; use lws or statefulset"
        return Refusal(code="engine-not-on-mechanism", reason=reason)
    if mechanism is Mechanism.MPI:
        reason = "SGLang has no MPI launcher; use lws or statefulset"
        return Refusal(code="engine-not-on-mechanism", reason=reason)
    if mechanism is Mechanism.DEPLOYMENT and num_members > 1:
        reason = f"a Deployment cannot hold a group of {num_members} members together; use lws"
        return Refusal(code="deployment-is-one-node", reason=reason)
    return TorchStore(port=STORE_PORT) if num_members > 1 else None


def refuse_request(request: Request, version: str) -> tuple[Refusal, ...]:
    """List what SGLang cannot do of what is asked."""
    out = []
    if request.access.api_key_secret:
        reason = "SGLang takes its API key in --api-key only, where every process of the node"
        reason += " can read it; put the key check into the gateway in front"
        out.append(Refusal(code="api-key-not-safe", reason=reason))
    if (request.parallelism.pipeline or 1) > 1 and not is_at_least(version, PIPELINE_SINCE):
        reason = f"SGLang {version} has no --pp-size (first in {PIPELINE_SINCE})"
        out.append(Refusal(code="engine-too-old", reason=reason))
    return tuple(out)


def processes(serve: Serve, role: Role) -> tuple[Process, ...]:
    """Write what one member runs; only the leader's HTTP port serves requests."""
    is_leader = role is Role.LEADER
    ports = (Port(name="http", number=HTTP_PORT, is_public=True),) if is_leader else ()
    if is_leader and isinstance(serve.rendezvous, TorchStore):
        ports = (*ports, Port(name="store", number=serve.rendezvous.port))
    return (
        Process(
            name="sglang",
            argv=_argv(serve),
            env=with_users(serve, shared_env(serve)),
            ports=ports,
            probes=http_probes(serve, "/health") if is_leader else Probes(),
            phases=_phases(serve, role),
        ),
    )


def _argv(serve: Serve) -> tuple[Text, ...]:
    request, layout = serve.request, serve.plan.layout
    options = {
        "--model-path": serve.weights_path,
        "--served-model-name": request.model.id,
        # its tensor-parallel size counts the ranks of all attention groups
        "--tp-size": layout.tensor_parallel * layout.data_parallel,
        "--pp-size": layout.pipeline_parallel if layout.pipeline_parallel > 1 else None,
        **_attention_groups(layout.data_parallel, serve.version),
        "--ep-size": layout.expert_parallel if layout.expert_parallel > 1 else None,
        "--context-length": serve.plan.max_model_len,
        "--mem-fraction-static": request.engine.gpu_memory_utilization,
        "--max-running-requests": request.engine.max_num_seqs,
        "--chunked-prefill-size": request.engine.max_num_batched_tokens,
        "--dtype": request.engine.dtype,
        "--quantization": request.engine.quantization,
        "--kv-cache-dtype": request.engine.kv_cache_dtype,
        "--host": "0.0.0.0",  # noqa: S104  (a pod's own network)
        "--port": HTTP_PORT,
        "--dist-timeout": serve.budgets.distributed_timeout_s if serve.num_members > 1 else None,
    }
    words = ["python3", "-m", "sglang.launch_server"]
    for flag, value in options.items():
        words += [flag, str(value)] if value is not None else []
    if layout.data_parallel > 1 and not is_at_least(serve.version, ATTENTION_DP_SINCE):
        words += ["--enable-dp-attention"]
    words += ["--enable-metrics"]
    words += ["--trust-remote-code"] if request.model.trust_remote_code else []
    out = [text(word) for word in words]
    if isinstance(serve.rendezvous, TorchStore):
        out += [
            *(text("--nnodes"), text(GroupSize())),
            *(text("--node-rank"), text(MemberIndex())),
            *(text("--dist-init-addr"), text(LeaderHost(), f":{serve.rendezvous.port}")),
        ]
    return (*out, *(text(word) for word in request.engine.extra_args))


def _attention_groups(groups: int, version: str) -> dict[str, int]:
    """Return the flag for attention groups; older versions need --enable-dp-attention too."""
    if groups == 1:
        return {}
    flag = "--attn-dp-size" if is_at_least(version, ATTENTION_DP_SINCE) else "--dp-size"
    return {flag: groups}


def _phases(serve: Serve, role: Role) -> tuple[Phase, ...]:
    b = serve.budgets
    load = Phase(name="load", pattern=LOG_PATTERNS["load"], budget_s=b.rendezvous_s)
    weights = Phase(name="weights", pattern=LOG_PATTERNS["weights"], budget_s=b.load_s)
    if role is Role.WORKER:
        return (load, weights)
    rest = b.compile_s + b.graphs_s
    return (load, weights, Phase(name="ready", pattern=LOG_PATTERNS["ready"], budget_s=rest))


METRICS = Metrics(
    running="sglang:num_running_reqs",
    waiting="sglang:num_queue_reqs",
    kv_usage="sglang:token_usage",
    ttft_s="sglang:time_to_first_token_seconds",
    itl_s="sglang:inter_token_latency_seconds",
)
"""Of 0.5.23, with --enable-metrics, from its source (srt/observability)."""

SGLANG = Engine(
    name="sglang",
    versions=("0.5.23", "0.5.20", "0.5.18", "0.5.12", "0.5.9", "0.5.3", "0.4.6.post5"),
    default_version="0.5.23",
    image=lambda version: f"lmsysorg/sglang:v{version}",
    split_layers=split_layers,
    refuse_layout=refuse_uneven,
    refuse_request=refuse_request,
    meet=meet,
    processes=processes,
    shm_bytes=shm_bytes,
    metrics=lambda _version: METRICS,
    quantizations=QUANTIZATIONS,
)
