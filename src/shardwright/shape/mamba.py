"""Decoders that mix attention with Mamba-2 mixers: Nemotron-H and Granite 4.

Sources: the published modelling code (transformers 5.19: nemotron_h, granitemoehybrid).
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.shape import AttentionKind, Cut, Layer, LayerCache, MlpKind, Moe, Tensor
from shardwright.shape.decoder import Decoder, attention_kinds
from shardwright.shape.fields import Fields
from shardwright.shape.pieces import (
    AttentionStyle,
    Experts,
    attention,
    experts,
    linear,
    mlp,
    norms,
    vector,
)
from shardwright.shape.split import DTYPE_BITS
from shardwright.shape.standard import (
    ends,
    heads_of,
    inner_of,
    is_tied,
    moe_summary,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mamba:
    """A Mamba-2 mixer: heads of dim over groups that share their input and output maps."""

    hidden: int
    heads: int
    dim: int
    groups: int
    state: int
    kernel: int
    conv_bias: bool
    bias: bool

    def tensors(self, prefix: str) -> tuple[Tensor, ...]:
        """Return the mixer's tensors; engines cut heads over TP and repeat groups as needed."""
        inner, shared = self.heads * self.dim, 2 * self.groups * self.state
        out = (
            *linear(
                f"{prefix}.in_proj", 2 * inner + shared + self.heads, self.hidden, Cut.ROWS,
                bias=self.bias,
            ),
            Tensor(
                name=f"{prefix}.conv1d", rows=inner + shared, cols=self.kernel, cut=Cut.ROWS
            ),
            vector(f"{prefix}.dt_bias", self.heads, Cut.ROWS),
            vector(f"{prefix}.A_log", self.heads, Cut.ROWS, bits=32),
            vector(f"{prefix}.D", self.heads, Cut.ROWS),
            vector(f"{prefix}.norm", inner, Cut.ROWS),
            *linear(
                f"{prefix}.out_proj", self.hidden, inner, Cut.COLS, unit=self.dim, bias=self.bias
            ),
        )  # fmt: skip
        return (
            (*out, vector(f"{prefix}.conv1d.bias", inner + shared, Cut.ROWS))
            if (self.conv_bias)
            else out
        )

    def cache(self, state_bits: int | None) -> LayerCache:
        """Return the state kept per sequence."""
        inner, shared = self.heads * self.dim, 2 * self.groups * self.state
        return LayerCache(
            conv_state=(inner + shared) * (self.kernel - 1),
            ssm_state=inner * self.state,
            ssm_state_bits=state_bits,
        )


_PATTERN = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}


def build_nemotron_h(f: Fields) -> Decoder:
    """Build Nemotron-H: each layer is one of Mamba, attention, MLP or experts, behind one norm."""
    pattern = f.get("hybrid_override_pattern")
    names = [_PATTERN[c] for c in pattern] if pattern else f.sequence("layers_block_type") or []
    heads = heads_of(f)
    mixer = Mamba(
        hidden=heads.hidden,
        heads=f.num("mamba_num_heads"),
        dim=f.num("mamba_head_dim"),
        groups=f.num("n_groups", default=8),
        state=f.num("ssm_state_size"),
        kernel=f.num("conv_kernel", default=4),
        conv_bias=f.flag("use_conv_bias", default=True),
        bias=f.flag("mamba_proj_bias"),
    )
    style = AttentionStyle(
        prefix="mixer", qkv_bias=f.flag("attention_bias"), out_bias=f.flag("attention_bias")
    )
    routed, moe = _nemotron_experts(f, heads.hidden) if "moe" in names else ((), None)
    norm = norms(heads.hidden, "norm")
    plain = mlp(heads.hidden, inner_of(f), gated=False, bias=f.flag("mlp_bias"), prefix="mixer")
    bits = DTYPE_BITS.get(str(f.get("mamba_ssm_cache_dtype")))
    none, empty = AttentionKind.NONE, LayerCache()
    kinds = {
        "mamba": (AttentionKind.MAMBA, MlpKind.NONE, mixer.cache(bits), mixer.tensors("mixer")),
        "attention": (
            AttentionKind.FULL, MlpKind.NONE, heads.cache(), attention(heads, style),
        ),
        "mlp": (none, MlpKind.DENSE, empty, plain),
        "moe": (none, MlpKind.MOE, empty, routed),
    }  # fmt: skip
    by_name = {
        name: Layer(attention=a, mlp=m, cache=c, tensors=norm + t)
        for name, (a, m, c, t) in kinds.items()
    }
    tied = is_tied(f, default=False)
    first, last = ends(f, heads.hidden, tied=tied)
    return Decoder(
        layers=tuple(by_name[str(n)] for n in names),
        first=first,
        last=last,
        num_heads=heads.num,
        num_kv_heads=heads.num_kv,
        head_dim=heads.dim,
        intermediate_size=inner_of(f),
        is_tied=tied,
        moe=moe,
    )


def _nemotron_experts(f: Fields, hidden: int) -> tuple[tuple[Tensor, ...], Moe]:
    latent = f.num("moe_latent_size") if f.has("moe_latent_size") else None
    shape = Experts(
        hidden=hidden,
        num=f.num("n_routed_experts"),
        inner=f.num("moe_intermediate_size"),
        width=latent,
        gated=False,
        has_score_correction=True,
        prefix="mixer",
    )
    shared = mlp(
        hidden, f.num("moe_shared_expert_intermediate_size", default=0), gated=False,
        prefix="mixer.shared_experts",
    )  # fmt: skip
    around: tuple[Tensor, ...] = ()
    if latent:
        around = (
            *linear("mixer.fc1_latent_proj", latent, hidden),
            *linear("mixer.fc2_latent_proj", hidden, latent),
        )
    return experts(shape) + shared + around, moe_summary(f, shape, shared)


def build_granite_hybrid(f: Fields) -> Decoder:
    """Build Granite 4 H: Mamba or attention, then experts beside a shared MLP."""
    heads = heads_of(f)
    width = f.num("mamba_n_heads") * f.num("mamba_d_head", default=64)
    mixer = Mamba(
        hidden=heads.hidden,
        heads=f.num("mamba_n_heads"),
        dim=width // f.num("mamba_n_heads"),
        groups=f.num("mamba_n_groups", default=1),
        state=f.num("mamba_d_state"),
        kernel=f.num("mamba_d_conv", default=4),
        conv_bias=f.flag("mamba_conv_bias", default=True),
        bias=f.flag("mamba_proj_bias"),
    )
    kinds = attention_kinds(f)
    shared = mlp(heads.hidden, f.num("shared_intermediate_size"), prefix="shared_mlp")
    sparse, moe = shared, None
    if f.num("num_local_experts", default=0) > 1:
        shape = Experts(
            hidden=heads.hidden,
            num=f.num("num_local_experts"),
            inner=f.num("intermediate_size"),
            prefix="block_sparse_moe",
            router="router",
        )
        sparse, moe = experts(shape) + shared, moe_summary(f, shape, shared)
    around = norms(heads.hidden, "input_layernorm", "post_attention_layernorm")
    full = attention(heads, AttentionStyle(qkv_bias=f.flag("attention_bias")))

    def layer(kind: AttentionKind) -> Layer:
        is_full = kind is AttentionKind.FULL
        return Layer(
            attention=kind,
            mlp=MlpKind.MOE if moe else MlpKind.DENSE,
            cache=heads.cache() if is_full else mixer.cache(None),
            tensors=around + (full if is_full else mixer.tensors("mamba")) + sparse,
        )

    tied = is_tied(f, default=True)
    first, last = ends(f, heads.hidden, tied=tied)
    return Decoder(
        layers=tuple(layer(k) for k in kinds),
        first=first,
        last=last,
        num_heads=heads.num,
        num_kv_heads=heads.num_kv,
        head_dim=heads.dim,
        intermediate_size=f.num("shared_intermediate_size"),
        is_tied=tied,
        moe=moe,
    )
