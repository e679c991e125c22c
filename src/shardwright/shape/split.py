"""What one rank holds: every tensor of a stage cut as engines cut it, in exact bytes.

vLLM, SGLang and TensorRT-LLM share Megatron's scheme: projections are cut by heads or features,
vocabulary tables are padded then cut, norms and routers are on every rank. Sources: vLLM 0.32,
model_executor/layers/{linear,vocab_parallel_embedding,fused_moe}; the same layers in SGLang.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from shardwright.model.layout import Layout, Stage
from shardwright.model.shape import Cut, ModelShape, Tensor
from shardwright.shape.expert_kernels import MXFP4_HOPPER, ExpertPads, padded, pads_of
from shardwright.shape.schemes import stored_bytes

VOCABULARY_PADDING = 64
"""Rows a vocabulary is padded to a multiple of before it is cut (vLLM DEFAULT_VOCAB_PADDING_SIZE;
SGLang's is the same)."""

DTYPE_BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "float8_e4m3fn": 8}

_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "half": "float16", "fp32": "float32"}


def dtype_bytes(dtype: str) -> int:
    """Return bytes per element of a dtype, by torch's name or a short one.

    >>> dtype_bytes("bfloat16"), dtype_bytes("fp32")
    (2, 4)
    """
    return DTYPE_BITS.get(_DTYPES.get(dtype, dtype), 16) // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTensor:
    """One tensor, or `copies` equal ones, as a rank holds it.

    scale_bytes: what of num_bytes are scales that the engine allocates apart.
    """

    tensor: Tensor
    rows: int
    cols: int
    copies: int
    num_bytes: int
    scale_bytes: int = 0


def ceil_div(value: int, parts: int) -> int:
    """Divide and round up.

    >>> ceil_div(7, 2)
    4
    """
    return -(-value // parts)


def rank_tensor(
    tensor: Tensor, layout: Layout, element_bytes: int, pads: ExpertPads | None = None
) -> RankTensor:
    """Cut one tensor for one rank of a layout; element_bytes is the width of the model's dtype,
    pads what the kernel of the layer's MXFP4 experts pads them to.

    Routed experts go whole to expert-parallel ranks, else their features are cut over every rank
    that shares them (tensor and data parallel). A KV head is repeated where ranks outnumber heads.

    >>> t = Tensor(name="k_proj", rows=1024, cols=4096, cut=Cut.KV_HEADS, unit=128)
    >>> rank_tensor(t, Layout(tensor_parallel=16), 2).rows
    128
    """
    parts = layout.tensor_parallel
    rows, cols, copies = tensor.rows, tensor.cols, tensor.copies
    if tensor.is_routed:
        if layout.expert_parallel > 1:
            copies, parts = ceil_div(copies, layout.expert_parallel), 1
        else:
            parts *= layout.data_parallel
    match tensor.cut:
        case Cut.ROWS:
            rows = ceil_div(rows // tensor.unit, parts) * tensor.unit
        case Cut.KV_HEADS:
            rows = ceil_div(rows // tensor.unit, parts) * tensor.unit
        case Cut.COLS:
            cols = ceil_div(cols // tensor.unit, parts) * tensor.unit
        case Cut.VOCABULARY:
            rows = ceil_div(_up_to(rows, VOCABULARY_PADDING), parts)
        case Cut.NONE:
            pass
    if pads is not None and tensor.is_routed:
        held = padded(tensor, rows, cols, pads, element_bytes)
        return RankTensor(
            tensor=tensor, rows=held.rows, cols=held.cols, copies=copies,
            num_bytes=held.num_bytes * copies, scale_bytes=held.scale_bytes * copies,
        )  # fmt: skip
    if tensor.scheme is not None:
        size = stored_bytes(tensor.scheme, rows, cols)
    else:
        size = rows * cols * (tensor.bits // 8 if tensor.bits else element_bytes)
    return RankTensor(tensor=tensor, rows=rows, cols=cols, copies=copies, num_bytes=size * copies)


def _up_to(value: int, unit: int) -> int:
    return ceil_div(value, unit) * unit


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWeights:
    """Bytes of weights on each rank of one stage, by part of the model.

    rope: the engine's table of rotary cosines and sines. absorbed: 16-bit copies of the latent up
    projection that engines make of a quantized one. rounding: what the allocator adds to tensors.
    """

    embedding: int
    attention: int
    mlp: int
    experts: int
    norms: int
    head: int
    vision: int
    rope: int
    absorbed: int
    rounding: int

    @property
    def total(self) -> int:
        """All of it: what the engine logs as weights."""
        return (
            self.embedding + self.attention + self.mlp + self.experts + self.norms + self.head
            + self.vision + self.rope + self.absorbed + self.rounding
        )  # fmt: skip


def stage_weights(
    shape: ModelShape,
    layout: Layout,
    stage: Stage,
    *,
    dtype: str | None = None,
    pads: ExpertPads = MXFP4_HOPPER,
) -> StageWeights:
    """Return the weights on each rank of one pipeline stage.

    The embedding is on the first stage, norm and head on the last; a tied head is a second copy of
    the embedding where those differ. dtype: None for the checkpoint's own.
    """
    width = dtype_bytes(dtype or shape.dtype)
    is_first, is_last = stage.first_layer == 0, stage.last_layer == shape.num_layers - 1
    groups: Counter[str] = Counter()
    sizes: Counter[int] = Counter()

    def add(tensors: Iterable[Tensor], times: int = 1, part: str | None = None) -> None:
        tensors = tuple(tensors)
        layer_pads = pads_of(tensors, pads)
        held = [rank_tensor(t, layout, width, layer_pads) for t in tensors]
        for rank in held:
            groups[part or _part(rank.tensor)] += rank.num_bytes * times
        for size in _allocations(held):
            sizes[size] += times

    layers = shape.layers[stage.first_layer : stage.first_layer + stage.num_layers]
    counts = Counter(map(id, layers))
    absorbed, left = 0, 0
    for layer in {id(x): x for x in layers}.values():
        add(layer.tensors, counts[id(layer)])
        absorbed += _absorbed(layer.tensors, layout) * counts[id(layer)]
        left = pads.left_bytes if pads_of(layer.tensors, pads) else left
    if is_first or (is_last and shape.tie_word_embeddings):
        add(shape.first, part="embedding")
    if is_last:
        add(shape.last)
    add(shape.vision, part="vision")
    rope = sum(shape.rope_dims) * shape.max_position_embeddings * width
    sizes[rope] += 1
    return StageWeights(
        embedding=groups["embedding"],
        attention=groups["attention"],
        mlp=groups["mlp"],
        experts=groups["experts"] + left,
        norms=groups["norms"],
        head=groups["head"],
        vision=groups["vision"],
        rope=rope,
        absorbed=absorbed,
        rounding=sum(rounding(size) * times for size, times in sizes.items()),
    )


_ATTENTION = ("self_attn", "linear_attn", "cross_attn", "mamba", "attn")


def _part(tensor: Tensor) -> str:
    if tensor.is_routed:
        return "experts"
    if tensor.name.startswith("lm_head"):
        return "head"
    if "norm" in tensor.name and tensor.cols == 1:
        return "norms"
    first = tensor.name.split(".")[0]
    if first in _ATTENTION or (first == "mixer" and "experts" not in tensor.name):
        return "attention"
    return "mlp"


_FUSED = {
    "q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv",
    "gate_proj": "gate_up", "up_proj": "gate_up",
    "in_proj_qkv": "in_qkvz", "in_proj_z": "in_qkvz", "in_proj_b": "in_ba", "in_proj_a": "in_ba",
}  # fmt: skip


def _allocations(held: Iterable[RankTensor]) -> list[int]:
    """Return the sizes engines allocate: query, key and value in one piece, gate and up in one."""
    out: Counter[str] = Counter()
    for rank in held:
        prefix, _, name = rank.tensor.name.rpartition(".")
        out[f"{prefix}.{_FUSED.get(name, name)}"] += rank.num_bytes - rank.scale_bytes
        out[f"{prefix}.{_FUSED.get(name, name)}.scale"] += rank.scale_bytes
    return list(out.values())


_ROUND = 2 * 2**20
_SPLIT = 2**20
_LARGE = 10 * 2**20


def rounding(num_bytes: int) -> int:
    """Return what PyTorch's CUDA allocator adds to one tensor, in bytes it counts as allocated.

    Tensors of 10 MiB and more get segments of whole 2 MiB; a rest of up to 1 MiB stays part of the
    block. Smaller ones are rounded to 512 bytes. Source: c10/cuda/CUDACachingAllocator.cpp.

    >>> rounding(3 * 2**22 - 2**19) // 2**10, rounding(3 * 2**22 - 3 * 2**19), rounding(100)
    (512, 0, 412)
    """
    if num_bytes < _LARGE:
        return -num_bytes % 512
    rest = -num_bytes % _ROUND
    return rest if rest <= _SPLIT else 0


def _absorbed(tensors: Iterable[Tensor], layout: Layout) -> int:
    """Return the 16-bit copy of a quantized kv_b_proj that absorbed attention works with.

    Source: vLLM model_executor/layers/attention/mla_attention.py, process_weights_after_loading.
    """
    return sum(
        2 * held.rows * held.cols
        for t in tensors
        if t.name == "self_attn.kv_b_proj" and t.scheme is not None
        for held in (rank_tensor(t, layout, 2),)
    )
