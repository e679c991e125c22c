"""A CPU platform whose ranks are spread over nodes the way GPUs are.

vLLM resolves the class named by `register()`; what differs from `CpuPlatform` is stated per method.
"""

import os

from vllm.platforms.cpu import CpuPlatform

from shardwright_vllm_cpu import KV_CACHE_BYTES_ENV, RANKS_PER_NODE_ENV, START_METHOD_ENV


class RehearsalCpuPlatform(CpuPlatform):
    # Ray places workers by this resource; the members are started with `ray start --num-gpus N`.
    ray_device_key = "GPU"

    @classmethod
    def device_count(cls):
        """Ranks on one node. vLLM divides rank by it to tell which ranks share a host."""
        return int(os.environ[RANKS_PER_NODE_ENV])

    @classmethod
    def get_device_communicator_cls(cls):
        return "shardwright_vllm_cpu.communicator.HostAwareCpuCommunicator"

    @classmethod
    def apply_config_platform_defaults(cls, vllm_config):
        """Run the model eagerly: inductor's C++ takes 30 s a rank and proves nothing of a GPU."""
        from vllm.config import CompilationMode  # vllm.config is still loading when this module is

        super().apply_config_platform_defaults(vllm_config)
        if os.environ.get("SHARDWRIGHT_COMPILE") != "1":
            vllm_config.compilation_config.mode = CompilationMode.NONE

    @classmethod
    def check_and_update_config(cls, vllm_config):
        super().check_and_update_config(vllm_config)
        if vllm_config.cache_config.kv_cache_memory_bytes is None:
            kv_cache_bytes = int(os.environ[KV_CACHE_BYTES_ENV])
            vllm_config.cache_config.kv_cache_memory_bytes = kv_cache_bytes
        parallel = vllm_config.parallel_config
        if parallel.worker_cls == "vllm.v1.worker.cpu_worker.CPUWorker":
            parallel.worker_cls = "shardwright_vllm_cpu.worker.RehearsalCpuWorker"
        # CpuPlatform spawns so that each rank's OpenMP can be bound before the process starts.
        # Nothing is bound here, and a forked rank saves importing torch and vLLM once more.
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = os.environ.get(START_METHOD_ENV, "fork")
