"""How vLLM is rehearsed on a CPU: what scales it down, and how its log names its ranks.

Facts are from runs of vLLM 0.32.0 on a CPU. Its log lines carry `(Worker pid=N)` until a rank knows
its place and `(Worker_PP1_TP0 pid=N)` after; Ray puts `(RayWorkerWrapper pid=N, ip=A)` before them.
"""

from __future__ import annotations

from shardwright.engines.rehearsal import FlagRule, Notice, Rehearsal
from shardwright.model.process import EnvVar
from shardwright.model.text import text
from shardwright.model.units import MIB

_NO_KERNEL = "the CPU engine has no kernel for it"

VLLM_REHEARSAL = Rehearsal(
    programs=("vllm",),
    tensor=("--tensor-parallel-size", "-tp"),
    pipeline=("--pipeline-parallel-size", "-pp"),
    length=("--max-model-len",),
    meeting=(
        ("--distributed-executor-backend",),
        ("--nnodes", "-n"),
        ("--node-rank", "-r"),
        ("--master-addr",),
        ("--master-port",),
    ),
    flags=(
        FlagRule(
            names=("--quantization", "-q"),
            value=None,
            why=_NO_KERNEL,
            not_proved="the quantized weights and their kernels",
        ),
        FlagRule(
            names=("--kv-cache-dtype",),
            value=None,
            why=_NO_KERNEL,
            not_proved="the KV cache in its own data type",
        ),
        FlagRule(
            names=("--dtype",),
            value="bfloat16",
            why="the small model is stored in bfloat16",
            not_proved="the data type of the deployment",
        ),
        FlagRule(
            names=("--attention-backend",),
            value=None,
            why=_NO_KERNEL,
            not_proved="the attention backend",
        ),
    ),
    env=(
        EnvVar(
            name="VLLM_CPU_OMP_THREADS_BIND",
            value=text("nobind"),
            why="ranks share the cores of this machine",
        ),
        EnvVar(
            name="OMP_NUM_THREADS", value=text("1"), why="ranks share the cores of this machine"
        ),
        EnvVar(
            name="SHARDWRIGHT_KV_CACHE_BYTES",
            value=text(str(64 * MIB)),
            why="the KV cache of one rank, enough for the small model",
        ),
        EnvVar(name="RAY_DEDUP_LOGS", value=text("0"), why="every rank's own lines are read"),
        EnvVar(name="HF_HUB_OFFLINE", value=text("1"), why="everything is on this machine"),
        EnvVar(name="VLLM_NO_USAGE_STATS", value=text("1"), why="no call home"),
    ),
    cpu_flags={"x86_64": ("avx2",), "aarch64": ()},
    partition_env="VLLM_PP_LAYER_PARTITION",
    # Inductor makes a folder in TMPDIR where it is asked before vLLM has told it of another
    cache_envs=("VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR"),
    plugin="vllm_cpu_plugin",
    ranks_env="SHARDWRIGHT_RANKS_PER_NODE",
    rank_pattern=(
        r"\((?:Worker|RayWorkerWrapper|RayWorkerProc)\S* pid=(?P<pid>\d+)"
        r"(?:, ip=(?P<address>[\d.]+))?\).*"
        r"world_size=\d+ rank=(?P<rank>\d+) local_rank=(?P<local>\d+) "
    ),
    role_pattern=(
        r"\(Worker(?:_DP\d+)?(?:_PP(?P<pipeline>\d+))?(?:_TP(?P<tensor>\d+))?(?:_EP\d+)?"
        r" pid=(?P<pid>\d+)\)"
    ),
    layers_pattern=r"rank (?P<rank>\d+) holds layers (?P<first>\d+)-(?P<last>\d+)",
    evidence_pattern=r"\b(?:ERROR|CRITICAL|FATAL)\b|^\w*(?:Error|Exception)\b|error: ",
    notices=(
        Notice(
            pattern=r"The object store is using \S+ instead of /dev/shm",
            code="ray-store-on-disk",
            what="Ray moved its object store from /dev/shm to disk.",
            why="it wants 30 % of the memory it sees, and /dev/shm has less; vLLM passes little "
            "through the store, so this is slow for large inputs only",
            remedy="give `ray start` --object-store-memory within /dev/shm, or a larger /dev/shm",
        ),
    ),
)
