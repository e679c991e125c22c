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
    """Predicted latency and throughput at the asked load. Times in seconds.

    concurrency: requests at once, of all replicas; None: an arrival rate was asked.
    prefill_share: part of the GPU time that goes into prompts.
    """

    ttft_s: float
    ttft_percentile_s: float
    itl_s: float
    itl_percentile_s: float
    output_tokens_per_s: float
    output_tokens_per_s_per_gpu: float
    is_saturated: bool
    origin: Origin
    concurrency: int | None = None
    prefill_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Money at the asked load, in US dollars of a dated price or the user's own.

    usd_per_million_output_tokens bears the whole bill. The two after it share the bill as APIs
    do, by the GPU time that prompts and answers take. None: no rate of tokens is known.
    """

    usd_per_hour: float
    usd_per_gpu_hour: float
    usd_per_million_output_tokens: float | None
    shared_usd_per_million_input_tokens: float | None
    shared_usd_per_million_output_tokens: float | None
    origin: Origin
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a layout runs on and as; quantization None: the checkpoint as it is published."""

    gpu: str
    engine: str
    quantization: str | None = None

    def __str__(self) -> str:
        """Write it as engineers say it.

        >>> str(Basis(gpu="H200-SXM", engine="vllm", quantization="fp8"))
        'H200-SXM vllm fp8'
        """
        return " ".join(filter(None, (self.gpu, self.engine, self.quantization)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A layout turned down. code: kebab-case kind of reason; reason: one sentence with numbers.

    layout None: nothing can run on this basis at all.
    """

    layout: Layout | None
    code: str
    reason: str
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A layout on the Pareto front of tokens/s per GPU against tokens/s per user, as estimated.

    concurrency: requests at once at that point, of all replicas; None: as the asked rate brings.
    """

    basis: Basis
    layout: Layout
    concurrency: int | None
    output_tokens_per_s_per_gpu: float
    output_tokens_per_s_per_user: float
    ttft_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The chosen layout of one replica and what follows from it.

    kv_tokens: of one replica, over its data-parallel ranks. memory, kv_tokens, speed and cost are
    None where they cannot be known; a finding then says why.
    """

    layout: Layout
    stages: tuple[Stage, ...]
    num_nodes: int
    max_model_len: int
    fits: bool
    basis: Basis | None = None
    memory: tuple[RankMemory, ...] = ()
    kv_tokens: int | None = None
    speed: Speed | None = None
    cost: Cost | None = None
    rejected: tuple[Rejected, ...] = ()
    front: tuple[Alternative, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
