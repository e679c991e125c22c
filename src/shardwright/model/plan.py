"""What was decided and why: the layout, its memory, its speed, and the layouts turned down."""

from __future__ import annotations

from dataclasses import dataclass, field

from shardwright.model.finding import Finding
from shardwright.model.layout import Layout, Stage
from shardwright.model.origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMemory:
    """GPU memory of the fullest rank of one stage, bytes.

    total_bytes is what the driver reports for the GPU; budget_bytes what the engine allows itself
    (for vLLM total x gpu_memory_utilization); kv_cache_bytes what the KV cache gets, negative
    where the rest alone is over the budget.
    """

    stage: int
    total_bytes: int
    budget_bytes: int
    weights_bytes: int
    activation_bytes: int
    graphs_bytes: int
    runtime_bytes: int
    kv_cache_bytes: int
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Predicted latency and throughput at the asked load. Times in seconds."""

    ttft_s: float
    ttft_percentile_s: float
    itl_s: float
    itl_percentile_s: float
    output_tokens_per_s: float
    output_tokens_per_s_per_gpu: float
    is_saturated: bool
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Money, in US dollars of the dated price list or the user's own price."""

    usd_per_hour: float
    usd_per_million_output_tokens: float | None
    origin: Origin
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A layout turned down. code: kebab-case kind of reason; reason: one sentence with numbers."""

    layout: Layout
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A layout on the Pareto front of tokens/s per GPU against tokens/s per user, as estimated."""

    layout: Layout
    output_tokens_per_s_per_gpu: float
    output_tokens_per_s_per_user: float
    ttft_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The chosen layout of one replica and what follows from it.

    memory, kv_tokens, speed and cost are None where they cannot be known; a finding then says why.
    """

    layout: Layout
    stages: tuple[Stage, ...]
    num_nodes: int
    max_model_len: int
    fits: bool
    memory: tuple[RankMemory, ...] = ()
    kv_tokens: int | None = None
    speed: Speed | None = None
    cost: Cost | None = None
    rejected: tuple[Rejected, ...] = ()
    front: tuple[Alternative, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
