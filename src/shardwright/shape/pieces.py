"""The pieces decoders are built from: attention, MLP, mixture of experts, norms, embeddings.

Each returns the stored tensors under their published names, with the way tensor parallelism cuts
them. Sources: the published modelling code of each family and the counts in facts/models/index.csv.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardwright.model.shape import Cut, LayerCache, Tensor


def linear(
    name: str, rows: int, cols: int, cut: Cut = Cut.NONE, *, unit: int = 1, bias: bool = False
) -> tuple[Tensor, ...]:
    """Return a linear layer of rows outputs and cols inputs; a bias follows the rows.

    >>> [t.num_elements for t in linear("fc", 8, 4, bias=True)]
    [32, 8]
    """
    weight = Tensor(name=name, rows=rows, cols=cols, cut=cut, unit=unit, is_linear=True)
    if not bias:
        return (weight,)
    bias_cut = Cut.NONE if cut is Cut.COLS else cut
    return (weight, Tensor(name=f"{name}.bias", rows=rows, cut=bias_cut, unit=unit))


def vector(name: str, rows: int, cut: Cut = Cut.NONE, *, bits: int | None = None) -> Tensor:
    """Return a vector: a norm's weight, a sink, a state parameter."""
    return Tensor(name=name, rows=rows, cut=cut, bits=bits)


def norms(width: int, *names: str, bias: bool = False) -> tuple[Tensor, ...]:
    """Return normalisation weights of one width, replicated on every rank."""
    suffixes = ("", ".bias") if bias else ("",)
    return tuple(vector(name + suffix, width) for name in names for suffix in suffixes)


def buffer(name: str, rows: int, *, bits: int = 32, cut: Cut = Cut.NONE) -> Tensor:
    """Return a stored vector that transformers does not count as a parameter."""
    return Tensor(name=name, rows=rows, cut=cut, bits=bits, is_buffer=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Attention heads of one layer. value_dim None: the same as dim."""

    hidden: int
    num: int
    num_kv: int
    dim: int
    value_dim: int | None = None

    @property
    def value(self) -> int:
        """Width of one value head."""
        return self.dim if self.value_dim is None else self.value_dim

    def cache(self, window: int | None = None) -> LayerCache:
        """Return what such attention keeps per token."""
        return LayerCache(
            num_heads=self.num_kv, key_dim=self.dim, value_dim=self.value, window=window
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionStyle:
    """What differs between families. qk_norm: None, "head" (one head wide) or "full" (all heads).

    gate: the query projection also yields an output gate, so its rows are doubled.
    """

    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: str | None = None
    norm_bias: bool = False
    gate: bool = False
    has_sinks: bool = False
    prefix: str = "self_attn"
    out_name: str = "o_proj"
    has_value: bool = True


def attention(heads: Heads, style: AttentionStyle) -> tuple[Tensor, ...]:
    """Return grouped-query attention: query, key, value and output projections and their norms."""
    p = style.prefix
    q_rows = heads.num * heads.dim * (2 if style.gate else 1)
    q_unit = heads.dim * (2 if style.gate else 1)
    out: tuple[Tensor, ...] = (
        *linear(f"{p}.q_proj", q_rows, heads.hidden, Cut.ROWS, unit=q_unit, bias=style.qkv_bias),
        *linear(
            f"{p}.k_proj", heads.num_kv * heads.dim, heads.hidden, Cut.KV_HEADS,
            unit=heads.dim, bias=style.qkv_bias,
        ),
    )  # fmt: skip
    if style.has_value:
        out += linear(
            f"{p}.v_proj", heads.num_kv * heads.value, heads.hidden, Cut.KV_HEADS,
            unit=heads.value, bias=style.qkv_bias,
        )  # fmt: skip
    out += linear(
        f"{p}.{style.out_name}", heads.hidden, heads.num * heads.value, Cut.COLS,
        unit=heads.value, bias=style.out_bias,
    )  # fmt: skip
    if style.qk_norm == "head":
        out += norms(heads.dim, f"{p}.q_norm", f"{p}.k_norm", bias=style.norm_bias)
    elif style.qk_norm == "full":
        out += norms(heads.num * heads.dim, f"{p}.q_norm", bias=style.norm_bias)
        out += norms(heads.num_kv * heads.dim, f"{p}.k_norm", bias=style.norm_bias)
    elif style.qk_norm == "per-head":
        out += norms(heads.num * heads.dim, f"{p}.q_norm")
        out += norms(heads.num_kv * heads.dim, f"{p}.k_norm")
    if style.has_sinks:
        out += (vector(f"{p}.sinks", heads.num, Cut.ROWS),)
    return out


def mlp(
    hidden: int, inner: int, *, gated: bool = True, bias: bool = False, prefix: str = "mlp"
) -> tuple[Tensor, ...]:
    """Return a feed-forward block; gated ones have a gate beside the up projection."""
    ups = ("gate_proj", "up_proj") if gated else ("up_proj",)
    out: tuple[Tensor, ...] = ()
    for name in ups:
        out += linear(f"{prefix}.{name}", inner, hidden, Cut.ROWS, bias=bias)
    return out + linear(f"{prefix}.down_proj", hidden, inner, Cut.COLS, bias=bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Routed experts and their router. width: the experts' own input width where it is smaller."""

    hidden: int
    num: int
    inner: int
    width: int | None = None
    gated: bool = True
    bias: bool = False
    router_bias: bool = False
    has_score_correction: bool = False
    prefix: str = "mlp"
    router: str = "gate"


def experts(e: Experts) -> tuple[Tensor, ...]:
    """Return the router (replicated) and the experts (cut over TP, or whole over EP)."""
    width = e.hidden if e.width is None else e.width
    out: tuple[Tensor, ...] = linear(f"{e.prefix}.{e.router}", e.num, e.hidden, bias=e.router_bias)
    block = mlp(width, e.inner, gated=e.gated, bias=e.bias, prefix=f"{e.prefix}.experts")
    out += tuple(replace(t, copies=e.num, is_routed=True) for t in block)
    if e.has_score_correction:
        out += (buffer(f"{e.prefix}.{e.router}.e_score_correction_bias", e.num),)
    return out


def embedding(name: str, rows: int, cols: int) -> Tensor:
    """Return a vocabulary table, cut by rows after padding."""
    return Tensor(name=name, rows=rows, cols=cols, cut=Cut.VOCABULARY)


def head(rows: int, cols: int, *, bias: bool = False) -> tuple[Tensor, ...]:
    """Return an untied output head."""
    out: tuple[Tensor, ...] = (
        Tensor(name="lm_head", rows=rows, cols=cols, cut=Cut.VOCABULARY, is_linear=True),
    )
    if bias:
        out += (Tensor(name="lm_head.bias", rows=rows, cut=Cut.VOCABULARY),)
    return out
