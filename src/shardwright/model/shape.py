"""What a model is made of: every stored tensor, by layer, with the way tensor parallelism cuts it.

Made by `shardwright.shape` from a config.json; read by the planner, the engines and the rehearsal's
model shrinker. A shape knows nothing of GPUs or engines; `shardwright.shape.split` gives bytes per
rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from shardwright.model.finding import Finding
from shardwright.model.origin import Origin


class Cut(Enum):
    """How tensor parallelism divides a tensor; Tensor.unit is the indivisible piece."""

    ROWS = "rows"
    """Output features are divided (column-parallel in Megatron's words)."""
    COLS = "cols"
    """Input features are divided (row-parallel)."""
    KV_HEADS = "kv-heads"
    """Output features in whole KV heads, at least one per rank, so small counts are replicated."""
    VOCABULARY = "vocabulary"
    """Rows are padded first (vLLM: to 64), then divided."""
    NONE = "none"
    """Every rank holds all of it."""


class AttentionKind(Enum):
    """What mixes tokens in a layer."""

    FULL = "full"
    SLIDING = "sliding"
    CHUNKED = "chunked"
    MLA = "mla"
    LINEAR = "linear"
    """Gated delta net and its kin: a fixed state per sequence."""
    MAMBA = "mamba"
    CROSS = "cross"
    """Attends to image features, not to the text before it."""
    NONE = "none"


class MlpKind(Enum):
    """What mixes channels in a layer."""

    DENSE = "dense"
    MOE = "moe"
    NONE = "none"


class Granularity(Enum):
    """How many weights share one scale."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    GROUP = "group"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScheme:
    """How the weights of one linear layer are stored.

    group: (rows, cols) of weights under one scale for GROUP and BLOCK. has_input_scale: a static
    activation scale is stored as well; has_global_scale: a second, per-tensor scale (NVFP4).
    """

    name: str
    weight_bits: int
    granularity: Granularity
    scale_bits: int
    group: tuple[int, int] = (1, 1)
    has_zero_points: bool = False
    has_input_scale: bool = False
    has_global_scale: bool = False
    activation_bits: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """What a checkpoint says of its quantization, as published.

    method: quant_method of config.json (fp8, awq, gptq, compressed-tensors, modelopt, mxfp4, ...).
    ignored: modules left unquantized, as published patterns. kv_cache_dtype: None if unstated.
    routed_scheme: the experts' own, where it differs; is_routed_only: nothing else is quantized.
    is_inferred: told by the model's name or asked of the engine, not by the file.
    """

    method: str
    scheme: WeightScheme
    ignored: tuple[str, ...] = ()
    kv_cache_dtype: str | None = None
    routed_scheme: WeightScheme | None = None
    is_routed_only: bool = False
    is_inferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One stored tensor, or `copies` equal ones (routed experts).

    name: the published module path inside its layer, such as `self_attn.q_proj`. rows: output
    features, or the length of a vector; cols: input features, 1 for a vector. bits: stored width
    where it differs from the model's dtype. scheme: None where the tensor is not quantized.
    """

    name: str
    rows: int
    cols: int = 1
    copies: int = 1
    cut: Cut = Cut.NONE
    unit: int = 1
    is_linear: bool = False
    is_routed: bool = False
    is_buffer: bool = False
    bits: int | None = None
    scheme: WeightScheme | None = None

    @property
    def num_elements(self) -> int:
        """Elements of all copies, unpadded and undivided."""
        return self.rows * self.cols * self.copies


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCache:
    """What one layer keeps per token or per sequence, before any division, in elements.

    Attention keeps num_heads x (key_dim + value_dim) per token; MLA one latent of key_dim per token
    whatever the head count. A state layer keeps conv_state and ssm_state elements per sequence.
    window: tokens a sliding or chunked layer looks back; None for all. indexer_bytes: per token, of
    a sparse-attention index kept beside the latent. compress: tokens that share one entry.
    """

    num_heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    window: int | None = None
    is_latent: bool = False
    conv_state: int = 0
    ssm_state: int = 0
    ssm_state_bits: int | None = None
    indexer_bytes: int = 0
    compress: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One decoder layer. shares_cache_with_earlier: it reads an earlier layer's KV cache."""

    attention: AttentionKind
    mlp: MlpKind
    cache: LayerCache
    tensors: tuple[Tensor, ...]
    shares_cache_with_earlier: bool = False

    @property
    def num_params(self) -> int:
        """Parameters of the layer, without persistent buffers."""
        return sum(t.num_elements for t in self.tensors if not t.is_buffer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moe:
    """Mixture of experts; intermediate sizes are per expert. latent_size: experts' own width."""

    num_experts: int
    experts_per_token: int
    intermediate_size: int
    num_shared_experts: int = 0
    shared_intermediate_size: int = 0
    latent_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mla:
    """Multi-head latent attention."""

    kv_lora_rank: int
    q_lora_rank: int | None
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelShape:
    """A model's exact shape. Origin is MODELLED where the architecture is known, else ASSUMED.

    Equal to itself alone, so that what is worked out from it can be kept: comparing every tensor
    would cost more than planning.

    first: tensors before the layers (embedding); last: after them (final norm, head); vision: other
    towers and projectors; mtp: layers for multi-token prediction, loaded only when it is used.
    rope_positions x rope_dim: the engine's table of rotary cosines and sines, a buffer per rank.
    """

    id: str
    architecture: str
    model_type: str
    dtype: str
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    layers: tuple[Layer, ...]
    first: tuple[Tensor, ...]
    last: tuple[Tensor, ...]
    vision: tuple[Tensor, ...] = ()
    mtp: tuple[Layer, ...] = ()
    moe: Moe | None = None
    mla: Mla | None = None
    sliding_window: int | None = None
    quantization: Quantization | None = None
    rope_dims: tuple[int, ...] = ()
    origin: Origin = Origin.MODELLED
    findings: tuple[Finding, ...] = ()

    @cached_property
    def num_params(self) -> int:
        """Parameters as transformers counts them: tied weights once, no MTP layers, no scales."""
        tensors = (*self.first, *self.last, *self.vision)
        return sum(t.num_elements for t in tensors if not t.is_buffer) + sum(
            layer.num_params for layer in self.layers
        )

    @cached_property
    def num_active_params(self) -> int:
        """Parameters one token passes through, embedding and head included."""
        idle = 0.0
        if self.moe is not None:
            routed = sum(
                t.num_elements for layer in self.layers for t in layer.tensors if t.is_routed
            )
            idle = routed * (1 - self.moe.experts_per_token / self.moe.num_experts)
        return round(self.num_params - idle)

    @property
    def num_experts(self) -> int:
        """Routed experts per MoE layer; 0 for a dense model."""
        return self.moe.num_experts if self.moe else 0

    @property
    def experts_per_token(self) -> int:
        """Routed experts a token visits; 0 for a dense model."""
        return self.moe.experts_per_token if self.moe else 0

    @property
    def is_mla(self) -> bool:
        """Whether attention keeps one latent per token instead of heads."""
        return self.mla is not None

    @property
    def is_multimodal(self) -> bool:
        """Whether the checkpoint holds a vision (or other) tower."""
        return bool(self.vision)

    @property
    def attention_kinds(self) -> tuple[AttentionKind, ...]:
        """Attention of each layer, first to last."""
        return tuple(layer.attention for layer in self.layers)

    @property
    def mlp_kinds(self) -> tuple[MlpKind, ...]:
        """Channel mixer of each layer, first to last."""
        return tuple(layer.mlp for layer in self.layers)
