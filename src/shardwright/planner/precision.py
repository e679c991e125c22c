"""How a dtype named in a request is stored and computed: bits per weight, which peak it runs at."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.facts.gpus import Gpu
from shardwright.planner.ops import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Bits per stored weight and the arithmetic it runs in, for one (dtype, model, GPU).

    dense_bits, attention_bits and expert_bits include scales; *_rate names a peak of the GPU.
    kv_bits: bits per cached element.
    """

    dense_bits: float
    dense_rate: str
    attention_bits: float
    attention_rate: str
    expert_bits: float
    expert_rate: str
    kv_bits: float

    def gemm(self, role: Role) -> tuple[float, str]:
        """Return (bits per weight, rate) of a product; routers stay in 16 bits."""
        if role is Role.ROUTER:
            return 16.0, "bf16"
        if role is Role.ATTENTION:
            return self.attention_bits, self.attention_rate
        if role is Role.SHARED_EXPERT:
            return self.expert_bits, self.expert_rate
        return self.dense_bits, self.dense_rate


_WEIGHT_ONLY = {"int4": 4.25, "awq": 4.25, "gptq": 4.25, "int8": 8.0}
_FP4 = {"fp4": 4.5, "nvfp4": 4.5, "mxfp4": 4.25}


def precision_of(
    dtype: str, gpu: Gpu, *, is_moe: bool, is_mxfp4: bool, kv: str | None
) -> Precision:
    """Return how a dtype is stored and computed on a GPU.

    FP4 checkpoints of mixtures keep attention in 16 bits and quantize the experts, those of dense
    models quantize every linear layer (NVIDIA's and OpenAI's published checkpoints). MXFP4 experts
    take FP8 activations where the GPU multiplies FP4, else 16-bit ones. A weight format that the
    GPU cannot multiply is widened first and runs at the 16-bit rate.
    """
    rate8 = "fp8" if gpu.fp8_flops else "bf16"
    if dtype in _FP4:
        bits = 4.25 if is_mxfp4 else _FP4[dtype]
        rate = "bf16"
        if gpu.fp4_flops:
            rate = "fp8" if is_mxfp4 else "fp4"
        dense = (16.0, "bf16") if is_moe else (bits, rate)
        out = (*dense, *dense, bits, rate)
    elif dtype == "fp8":
        out = (8.0, rate8, 8.0, rate8, 8.0, rate8)
    elif dtype in _WEIGHT_ONLY:
        bits = _WEIGHT_ONLY[dtype]
        dense = (16.0, "bf16") if is_moe else (bits, "bf16")
        out = (*dense, *dense, bits, "bf16")
    else:
        wide = 32.0 if dtype in {"fp32", "float32"} else 16.0
        out = (wide, "bf16", wide, "bf16", wide, "bf16")
    if kv in {None, "", "auto"}:
        kv_bits = 8.0 if dtype in {"fp8", *_FP4} and not is_mxfp4 else 16.0
    else:
        kv_bits = 4.5 if "4" in str(kv) and "e4" not in str(kv) else 8.0 if "8" in str(kv) else 16.0
    return Precision(
        dense_bits=out[0],
        dense_rate=str(out[1]),
        attention_bits=out[2],
        attention_rate=str(out[3]),
        expert_bits=out[4],
        expert_rate=str(out[5]),
        kv_bits=kv_bits,
    )
