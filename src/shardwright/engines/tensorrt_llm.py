"""TensorRT-LLM: `trtllm-serve` with the PyTorch backend; several nodes are one MPI world.

Flags are from the source of 1.1 and 1.2 (facts/engines); the TensorRT engine backend was removed
upstream in July 2026 (NVIDIA/TensorRT-LLM #15763, #15907, #15918), so engines need a pinned Triton.
"""

from __future__ import annotations

from shardwright.engines.divisibility import refuse_uneven_or_attention_dp
from shardwright.engines.engine import Engine, Refusal, Serve
from shardwright.engines.environment import (
    http_probes,
    shared_env,
    shm_bytes,
    with_users,
)
from shardwright.engines.mpi import meet_by_mpi
from shardwright.model.launch import Mpi, Rendezvous, Role, RunAs
from shardwright.model.process import Per, Phase, Port, Probes, Process
from shardwright.model.request import Mechanism, Request
from shardwright.model.text import Text, text

HTTP_PORT = 8000
USER = 1000  # `ubuntu` in the release image; sshd needs a user with a name

LOG_PATTERNS = {
    "weights": r"Model init total|Loading weights",
    "kv-cache": r"KV cache|max_tokens_in_paged_kv_cache",
    "ready": r"Application startup complete",
}


QUANTIZATIONS = {"fp8": 8.9, "awq": 8.0, "gptq": 8.0, "int8": 8.0, "nvfp4": 10.0, "mxfp4": 10.0}
"""Source: nvidia.github.io TensorRT-Model-Optimizer support matrix (FP4: Blackwell, FP8: Ada,
W4A16 and INT8: Ampere and later), read 2026-11-26."""


def split_layers(num_layers: int, pipeline_parallel: int) -> tuple[int, ...]:
    """Split hidden layers over stages as TensorRT-LLM does: the first stages get the extra ones.

    Source: tensorrt_llm/mapping.py, Mapping.pp_layers (torch.tensor_split).

    >>> split_layers(126, 4)
    (32, 32, 31, 31)
    """
    base, extra = divmod(num_layers, pipeline_parallel)
    return (base + 1,) * extra + (base,) * (pipeline_parallel - extra)


def meet(version: str, mechanism: Mechanism, num_members: int) -> Rendezvous | Refusal:
    """Say how the members of a group find each other under a mechanism."""
    del version
    meeting = meet_by_mpi("TensorRT-LLM", mechanism, num_members)
    # on one node trtllm-serve starts its own ranks
    return None if isinstance(meeting, Mpi) and num_members == 1 else meeting


def refuse_request(request: Request, version: str) -> tuple[Refusal, ...]:
    """List what trtllm-serve cannot do of what is asked."""
    del version
    if not request.access.api_key_secret:
        return ()
    reason = "trtllm-serve does not check API keys; put the key check into the gateway in front"
    return (Refusal(code="api-key-not-supported", reason=reason),)


def processes(serve: Serve, role: Role) -> tuple[Process, ...]:
    """Write what one member runs: trtllm-serve, or its launcher once per rank under MPI."""
    is_leader = role is Role.LEADER
    is_world = isinstance(serve.rendezvous, Mpi)
    launcher = (text("trtllm-llmapi-launch"),) if is_world else ()
    return (
        Process(
            name="tensorrt-llm",
            argv=(*launcher, *_argv(serve)),
            env=with_users(serve, shared_env(serve)),
            ports=(Port(name="http", number=HTTP_PORT, is_public=True),) if is_leader else (),
            probes=http_probes(serve, "/health") if is_leader else Probes(),
            per=Per.RANK if is_world else Per.MEMBER,
            phases=(
                Phase(
                    name="ready",
                    pattern=LOG_PATTERNS["ready"],
                    budget_s=serve.budgets.startup_s,
                ),
            )
            if is_leader
            else (),
        ),
    )


def _argv(serve: Serve) -> tuple[Text, ...]:
    request, layout = serve.request, serve.plan.layout
    options = {
        "--backend": "pytorch",
        "--host": "0.0.0.0",  # noqa: S104  (a pod's own network)
        "--port": HTTP_PORT,
        "--tp_size": layout.tensor_parallel,
        "--pp_size": layout.pipeline_parallel,
        "--ep_size": layout.expert_parallel if layout.expert_parallel > 1 else None,
        "--max_seq_len": serve.plan.max_model_len,
        "--max_batch_size": request.engine.max_num_seqs,
        "--max_num_tokens": request.engine.max_num_batched_tokens,
        "--kv_cache_free_gpu_memory_fraction": request.engine.gpu_memory_utilization,
    }
    words = ["trtllm-serve", serve.weights_path]
    for flag, value in options.items():
        words += [flag, str(value)] if value is not None else []
    words += ["--trust_remote_code"] if request.model.trust_remote_code else []
    return tuple(text(word) for word in (*words, *request.engine.extra_args))


TENSORRT_LLM = Engine(
    name="tensorrt-llm",
    versions=("1.2.1", "1.1.0", "1.0.0"),
    default_version="1.2.1",
    image=lambda version: f"nvcr.io/nvidia/tensorrt-llm/release:{version}",
    split_layers=split_layers,
    refuse_layout=refuse_uneven_or_attention_dp,
    refuse_request=refuse_request,
    meet=meet,
    processes=processes,
    shm_bytes=shm_bytes,
    quantizations=QUANTIZATIONS,
    run_as=lambda _request, _version: RunAs(user=USER, group=USER),
)
