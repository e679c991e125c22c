"""What is served and how well, as the user's file says it: model, engine, load, objective."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shardwright.spec.strict import Count, Line, Strict, Tokens


class Model(Strict):
    """The model to serve."""

    id: Annotated[Line, Field(max_length=200)]
    """Hugging Face id, such as meta-llama/Llama-3.1-70B-Instruct; also the served name."""
    config_file: Line | None = None
    """A config.json on disk to plan from, relative to this file; for models not on the hub."""
    path: Line | None = None
    """Directory of the weights; by default named after id and revision, or an image's root."""
    revision: Line | None = None
    """Git revision on the hub; pin it for repeatable deployments."""
    source: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[^\s]*)?$")] | None = None
    """Where the files of the weights are instead of the hub: s3://bucket/prefix."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model; refused unless set."""


class Engine(Strict):
    """The inference engine."""

    name: Literal["vllm", "sglang", "tensorrt-llm", "triton", "triton-engines"] = "vllm"
    """Engine to run; triton-engines compiles TensorRT engines, on releases that still can."""
    version: Line | None = None
    """Engine version; by default the one Shardwright pins."""
    image: Line | None = None
    """Container image; by default the engine's own image of that version."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = None
    """Type of activations and unquantized weights; by default what config.json says."""
    quantization: Line | None = None
    """Quantization method; by default what config.json says."""
    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2", "bfloat16", "float16"] | None = (
        None
    )
    """Type of the KV cache."""
    max_model_len: Tokens | None = None
    """Longest prompt plus answer, tokens; by default four times that of the workload, or 8192."""
    max_num_seqs: Count | None = None
    """Most sequences in one step."""
    max_num_batched_tokens: Tokens | None = None
    """Most tokens in one step."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """Part of each GPU's memory the engine may use, 0 to 1."""
    extra_args: list[Line] = Field(default_factory=list)
    """Arguments passed through to the engine, checked against its version."""
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict
    )
    """Environment variables passed through to the engine."""


class Parallelism(Strict):
    """Degrees of parallelism; each left out is the planner's."""

    tensor: Count | None = None
    """Tensor-parallel size."""
    pipeline: Count | None = None
    """Pipeline-parallel size."""
    data: Count | None = None
    """Engine-level data-parallel size."""
    expert: Count | None = None
    """Ranks the routed experts are spread over."""
    replicas: Count | None = None
    """Independent copies behind one Service."""


class Workload(Strict):
    """The load to plan for."""

    input_tokens: Tokens = 2048
    """Prompt length, tokens."""
    output_tokens: Tokens = 256
    """Answer length, tokens."""
    concurrency: Count | None = None
    """Requests in flight at once."""
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    """Arrival rate, Poisson."""
    prefix_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens at the start of every prompt that are the same."""
    input_tokens_stddev: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the prompt length in a bench; plans are made for the mean."""
    output_tokens_stddev: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the answer length in a bench; plans are made for the mean."""
    num_prefixes: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Different shared prefixes that prompts of a bench draw from."""
    trace: str | None = None
    """Mooncake trace (JSON lines) a bench replays instead, relative to this file."""

    @model_validator(mode="after")
    def _one_load(self) -> Workload:
        if self.concurrency is not None and self.requests_per_second is not None:
            raise ValueError("give concurrency or requestsPerSecond, not both")
        if self.prefix_tokens > self.input_tokens:
            raise ValueError(
                f"prefixTokens ({self.prefix_tokens}) exceeds inputTokens ({self.input_tokens})"
            )
        return self


class Slo(Strict):
    """The latency objective."""

    ttft_ms: Annotated[float, Field(gt=0)] | None = None
    """Time to first token, milliseconds."""
    itl_ms: Annotated[float, Field(gt=0)] | None = None
    """Time between tokens, milliseconds."""
    percentile: Annotated[float, Field(ge=50, lt=100)] = 95.0
    """Percentile at which both must hold."""


class Bench(Strict):
    """How `shardwright bench` loads the endpoint inside the cluster."""

    image: str | None = None
    """Image with AIPerf; AIPerf's own, else `vllm bench serve` of the engine's image."""
