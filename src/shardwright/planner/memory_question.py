"""What is asked of memory: one model, cut one way, on one GPU type, under one engine."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.facts.gpus import Gpu
from shardwright.model.layout import Layout, Stage
from shardwright.model.shape import ModelShape
from shardwright.planner.limits import Limits
from shardwright.shape.split import dtype_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryQuestion:
    """One model, cut one way, on one GPU type, under one engine; None: the engine's default.

    utilization: vLLM's gpu_memory_utilization, SGLang's mem_fraction_static, TensorRT-LLM's
    free_gpu_memory_fraction.
    """

    shape: ModelShape
    layout: Layout
    stages: tuple[Stage, ...]
    gpu: Gpu
    engine: str = "vllm"
    version: str | None = None
    utilization: float | None = None
    max_model_len: int | None = None
    kv_cache_dtype: str | None = None
    dtype: str | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None

    @property
    def element_bytes(self) -> int:
        """Bytes of one unquantized weight or activation."""
        return dtype_bytes(self.dtype or self.shape.dtype)

    def limits(self, default: Limits) -> Limits:
        """Tokens and sequences of one step: what is asked, else the engine's default."""
        return Limits(
            max_num_batched_tokens=self.max_num_batched_tokens or default.max_num_batched_tokens,
            max_num_seqs=self.max_num_seqs or default.max_num_seqs,
        )
