"""How many tokens and sequences one step may hold when the user says nothing: engine defaults.

Peak activation is profiled at these limits. Sources: the defaults tables of vLLM 0.6 to 0.33 and
SGLang 0.4 to 0.5 (arg_utils.py, server_args.py of the wheels), read 2026-11-23.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.facts.gpus import Gpu
from shardwright.model.units import GIB

Version = tuple[int, int]


def version_of(text: str | None, default: Version) -> Version:
    """Return major and minor of a version, or the default where it says neither.

    >>> version_of("0.19.1", (0, 33)), version_of("v1.2.0rc1", (0, 0)), version_of("", (0, 33))
    ((0, 19), (1, 2), (0, 33))
    """
    parts = (text or "").lstrip("vV").split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        return default
    return int(parts[0]), int(parts[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Tokens per step and sequences at once."""

    max_num_batched_tokens: int
    max_num_seqs: int


def vllm_limits(gpu: Gpu, version: Version) -> Limits:
    """Return the API server's defaults by GPU memory.

    >>> from shardwright.facts.gpus import gpu
    >>> vllm_limits(gpu("H100"), (0, 19)), vllm_limits(gpu("L40S"), (0, 19)).max_num_seqs
    (Limits(max_num_batched_tokens=8192, max_num_seqs=1024), 256)
    """
    if gpu.memory_bytes >= 160 * GIB and version >= (0, 28):
        return Limits(max_num_batched_tokens=16384, max_num_seqs=1024)
    is_large = gpu.memory_bytes >= 70 * GIB and not (
        gpu.id.startswith("A100") and version >= (0, 9)
    )
    if is_large:
        return Limits(max_num_batched_tokens=8192, max_num_seqs=1024)
    return Limits(max_num_batched_tokens=2048, max_num_seqs=1024 if version < (0, 8) else 256)


def sglang_limits(gpu: Gpu) -> Limits:
    """Return SGLang's chunked prefill size and largest decode graph by GPU memory (0.5.23)."""
    mib = gpu.memory_bytes / 2**20
    steps = ((20480, 2048, 8), (35840, 4096, 48), (61440, 4096, 32), (163840, 8192, 256))
    for limit, chunk, batch in steps:
        if mib < limit:
            return Limits(max_num_batched_tokens=chunk, max_num_seqs=batch)
    return Limits(max_num_batched_tokens=16384, max_num_seqs=512)


TRTLLM_LIMITS = Limits(max_num_batched_tokens=8192, max_num_seqs=2048)
"""max_num_tokens and max_batch_size of trtllm-serve (BuildConfig defaults)."""
