"""A CPU platform whose ranks are spread over nodes the way GPUs are.

vLLM resolves the class named by `register()`; what differs from `CpuPlatform` is stated per method.
Read against vllm 0.32.0.
"""

from __future__ import annotations

import os
from typing import Any

from vllm.platforms.cpu import CpuPlatform

from shardwright_vllm_cpu import (
    COMPILE_ENV,
    KV_CACHE_BYTES_ENV,
    RANKS_PER_NODE_ENV,
    START_METHOD_ENV,
)
from shardwright_vllm_cpu.inherited import let_go_of_sockets_in_children


class RehearsalCpuPlatform(CpuPlatform):  # type: ignore[misc]
    """CpuPlatform with devices to count, groups that know their hosts, and a quick start."""

    # Ray places workers by this resource; the members are started with `ray start --num-gpus N`.
    ray_device_key = "GPU"

    @classmethod
    def device_count(cls) -> int:
        """Ranks on one node. vLLM divides a rank by it to tell which ranks share a host."""
        return int(os.environ[RANKS_PER_NODE_ENV])

    @classmethod
    def get_device_communicator_cls(cls) -> str:
        """Name the communicator of tensor-parallel and pipeline-parallel groups."""
        return "shardwright_vllm_cpu.communicator.HostAwareCpuCommunicator"

    @classmethod
    def apply_config_platform_defaults(cls, vllm_config: Any) -> None:
        """Run the model eagerly: inductor's C++ takes 30 s a rank and proves nothing of a GPU."""
        from vllm.config import CompilationMode  # vllm.config is still loading when this module is

        super().apply_config_platform_defaults(vllm_config)
        if os.environ.get(COMPILE_ENV) != "1":
            vllm_config.compilation_config.mode = CompilationMode.NONE

    @classmethod
    def check_and_update_config(cls, vllm_config: Any) -> None:
        """Size the KV cache in bytes, try each stage before it is ready, and fork the ranks.

        CpuPlatform spawns them, so that each rank's OpenMP can be bound before the process starts.
        Nothing is bound here, and a forked rank need not import torch and vLLM again (8 s each).
        """
        super().check_and_update_config(vllm_config)
        cache = vllm_config.cache_config
        if cache.kv_cache_memory_bytes is None and KV_CACHE_BYTES_ENV in os.environ:
            cache.kv_cache_memory_bytes = int(os.environ[KV_CACHE_BYTES_ENV])
        parallel = vllm_config.parallel_config
        if parallel.worker_cls == "vllm.v1.worker.cpu_worker.CPUWorker":
            parallel.worker_cls = "shardwright_vllm_cpu.worker.RehearsalCpuWorker"
        method = os.environ.get(START_METHOD_ENV, "fork")
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = method
        if method == "fork":
            let_go_of_sockets_in_children()
