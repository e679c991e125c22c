"""Entry point of the vLLM platform plugin that a rehearsal puts on PYTHONPATH.

vLLM's own CPU platform takes every rank for a process of one host. This plugin is what lets the
same `vllm serve` command lines that a GPU cluster gets run here, over Ray and over `--nnodes`.
It is imported by the engine's Python, never by Shardwright's, and does nothing unless the first
variable is set.
"""

from __future__ import annotations

import os

RANKS_PER_NODE_ENV = "SHARDWRIGHT_RANKS_PER_NODE"
KV_CACHE_BYTES_ENV = "SHARDWRIGHT_KV_CACHE_BYTES"
COMPILE_ENV = "SHARDWRIGHT_COMPILE"
START_METHOD_ENV = "SHARDWRIGHT_START_METHOD"


def register() -> str | None:
    """Name the platform class, or nothing outside a rehearsal (vLLM then picks its own)."""
    if RANKS_PER_NODE_ENV not in os.environ:
        return None
    return "shardwright_vllm_cpu.platform.RehearsalCpuPlatform"
