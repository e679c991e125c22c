"""How long one engine step takes, as a function of what is in the batch.

    step(N, out, kv, pairs) = tokens(N) + head(out) + kv x kv_s + pairs x pair_s + overheads

tokens(N) is tabulated once per (model, GPU, layout, engine) on a grid of batch sizes: matrix
products, experts, activations, all-reduces and launches depend on the number of tokens alone.
What is left is linear, so a run of decode steps has a closed sum. Equations: docs/planner.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shardwright.facts.gpus import Gpu
from shardwright.model.shape import Cut
from shardwright.planner.coefficients import Coefficients
from shardwright.planner.links import Link
from shardwright.planner.ops import Attention, Gemm, ModelOps, Role, RoutedExperts
from shardwright.planner.precision import Precision

GRID_PER_OCTAVE = 4
GRID = 2.0 ** (np.arange(16 * GRID_PER_OCTAVE + 1) / GRID_PER_OCTAVE)
"""Batch sizes in tokens at which step times are tabulated: 1 to 65,536, four per octave."""

SMOOTH = 4.0
"""Exponent of the smooth maximum of compute and memory time."""

SHORT_WINDOW = 1024
"""Tokens; windows up to here cost no time of their own in the model."""

STAGE_HANDOVER_S = 60e-6
"""Seconds between a stage's end and the next one's start besides the bytes. Assumed."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything a step's time depends on besides the batch.

    era: calibration tag of the engine version; scales: `tensor` or `block`, of FP8 weights.
    attention_dp: groups of ranks that split the requests in attention and share the experts.
    """

    ops: ModelOps
    precision: Precision
    gpu: Gpu
    engine: str
    era: str
    scales: str
    tensor_parallel: int
    tensor_link: Link
    stage_link: Link
    pipeline_parallel: int = 1
    expert_parallel: int = 1
    attention_dp: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTable:
    """Step times in seconds. tokens[i], head[i]: at GRID[i] tokens; kv_s: per cached token read;
    pair_s: per (query, key) pair of prefill; seq_s: per decoding sequence; gap_s: per decode step;
    prefill_floor_s: no prefill step is shorter; prefill_gap_s: added to each.
    """

    tokens: Floats
    head: Floats
    kv_s: float
    pair_s: float
    seq_s: float
    gap_s: float
    prefill_floor_s: float
    prefill_gap_s: float


def architecture_of(gpu: Gpu) -> str:
    """Return the family of GPUs that shares kernels: hopper, blackwell, workstation,
    ampere or amd.
    """
    if gpu.is_amd:
        return "amd"
    major = gpu.compute_capability.split(".")[0]
    return {"9": "hopper", "10": "blackwell", "12": "workstation"}.get(major, "ampere")


def step_table(s: Setting, k: Coefficients) -> StepTable:
    """Tabulate the step times of one setting. For pipeline stages the table is of the whole model:
    a micro-batch passes every stage once per step.
    """
    return over_stages(flat_table(s, k), s)


def over_stages(flat: StepTable, s: Setting) -> StepTable:
    """Return the table of a setting from the one of the same setting without stages."""
    return replace(flat, tokens=flat.tokens + _stage_sends(s))


def flat_table(s: Setting, k: Coefficients) -> StepTable:
    """Tabulate the step times as if the whole model were one stage."""
    arch = architecture_of(s.gpu)
    tags = (s.engine, s.era, arch)
    bandwidth = s.gpu.bandwidth_bytes_per_s
    tokens = sum((_gemm(g, s, k, arch) for g in s.ops.gemms), np.zeros_like(GRID))
    for e in s.ops.experts:
        tokens += _experts(e, s, k, arch)
    moved = s.ops.num_layers * s.ops.hidden_size * 2.0 * k.of("activation_passes", *tags)
    tokens += GRID * moved / bandwidth
    tokens += _all_reduce(s, k)
    layer_s = k.of("layer_s", *tags)
    layers = (
        s.ops.num_layers
        + s.ops.num_moe_layers * k.of("moe_layer_weight", s.engine)
        + s.ops.num_state_layers * k.of("state_layer_weight")
        + s.ops.num_latent_layers * k.of("latent_layer_weight")
    )
    tokens += layers * layer_s
    tp = s.tensor_parallel
    head_bytes = s.ops.head_rows * s.ops.hidden_size * 2.0 / tp
    head_flops = 2.0 * s.ops.head_rows * s.ops.hidden_size / tp
    peak16 = _peak(s, k, "bf16", arch)
    return StepTable(
        tokens=tokens,
        head=_smooth_max(
            GRID * head_flops / peak16, head_bytes / (bandwidth * k.of("weight_read", "bf16", arch))
        ),
        kv_s=cached_bytes_per_token(s) / (bandwidth * k.of("kv_read", *tags)),
        pair_s=sum(a.pair_flops * a.count for a in s.ops.attention if not _is_short(a))
        / (tp * peak16 * k.of("attention_compute", arch)),
        seq_s=s.ops.state_elements * 8.0 / tp / bandwidth + k.of("sequence_s", s.engine),
        gap_s=k.of("step_s", *tags),
        prefill_floor_s=layers * k.of("eager_layer_s", *tags),
        prefill_gap_s=k.of("prefill_s", *tags),
    )


def _smooth_max(a: Floats, b: Floats | float) -> Floats:
    return np.asarray((a**SMOOTH + b**SMOOTH) ** (1 / SMOOTH), dtype=np.float64)


def _peak(s: Setting, k: Coefficients, rate: str, arch: str) -> float:
    """Return reachable operations per second at a rate."""
    peak = {"bf16": s.gpu.bf16_flops, "fp8": s.gpu.fp8_flops, "fp4": s.gpu.fp4_flops}[rate]
    peak = peak or s.gpu.bf16_flops or 1e14
    return (
        peak
        * k.fraction_of_peak(s.gpu.id, rate)
        * k.of(f"compute.{rate}", s.engine, arch, s.scales)
    )


def _gemm(g: Gemm, s: Setting, k: Coefficients, arch: str) -> Floats:
    """Time of one product in all its layers: the slower of arithmetic and reading the weight."""
    bits, rate = s.precision.gemm(g.role)
    groups = s.attention_dp if g.role is Role.ATTENTION else 1
    tp = 1 if g.cut is Cut.NONE else max(1, s.tensor_parallel // groups)
    rows, cols = (g.rows, g.cols / tp) if g.cut is Cut.COLS else (g.rows / tp, g.cols)
    weight = rows * cols
    compute = GRID / groups * (2.0 * weight / _peak(s, k, rate, arch))
    kind = "bf16" if bits >= 16 else "fp8" if bits >= 8 else "fp4"
    bandwidth = s.gpu.bandwidth_bytes_per_s
    read = weight * bits / 8 / (bandwidth * k.of("weight_read", kind, arch))
    moved = GRID / groups * (2.0 * (rows + cols) * k.of("gemm_io", s.engine, s.era) / bandwidth)
    return g.count * (_smooth_max(compute, read) + moved)


def _experts(e: RoutedExperts, s: Setting, k: Coefficients, arch: str) -> Floats:
    """Time of the routed experts: as many are read as the batch's tokens touch.

    With expert parallelism a rank holds whole experts, else a slice of each; either way it holds
    1/TP of them, and the weights read are those of the expected number of distinct experts.
    """
    ranks = max(s.tensor_parallel, s.expert_parallel)
    share = e.experts_per_token / e.num_experts
    touched = e.num_experts * -np.expm1(GRID * k.of("routing_spread") * np.log1p(-share))
    kind = "fp8" if s.precision.expert_bits >= 8 else "fp4"
    if s.precision.expert_bits >= 16:
        kind = "bf16"
    bandwidth = s.gpu.bandwidth_bytes_per_s * k.of("expert_read", kind, s.engine, arch)
    read = touched * e.weights_per_expert * s.precision.expert_bits / 8 / ranks / bandwidth
    peak = _peak(s, k, s.precision.expert_rate, arch)
    peak *= k.of("expert_compute", s.precision.expert_rate, s.engine, arch)
    compute = GRID * e.experts_per_token * 2.0 * e.weights_per_expert / ranks / peak
    skew = k.of("expert_skew") if s.expert_parallel > 1 else 1.0
    return e.count * skew * np.asarray(read + compute)


def _kv_elements(a: Attention, s: Setting) -> float:
    """Cached elements one rank reads per token of context; a latent is whole on every rank."""
    if _is_short(a):
        return 0.0
    group = max(1, s.tensor_parallel // s.attention_dp)
    if a.is_latent:
        return a.kv_elements / s.attention_dp
    return a.kv_elements / min(group, a.num_kv_heads) / s.attention_dp


def cached_bytes_per_token(s: Setting) -> float:
    """KV-cache bytes of one token in all layers on one tensor-parallel rank; short windows hold
    next to nothing.
    """
    elements = sum(_kv_elements(a, s) * a.count for a in s.ops.attention)
    return elements * s.precision.kv_bits / 8


def _is_short(a: Attention) -> bool:
    """Whether a window is so short that its pairs and cache are lost beside the projections."""
    return a.window is not None and a.window <= SHORT_WINDOW


def _all_reduce(s: Setting, k: Coefficients) -> Floats:
    """Two all-reduces per layer: a latency that grows with the ranks, and the bytes: once through
    an NVSwitch, 2 (TP - 1) / TP times around a ring (NCCL's NVLS and ring algorithms).
    """
    tp = s.tensor_parallel
    if tp == 1:
        return np.zeros_like(GRID)
    arch = architecture_of(s.gpu)
    latency = k.of("all_reduce_s", s.engine, arch) * (1 + k.of("all_reduce_rank") * np.log2(tp))
    latency += s.tensor_link.latency_s * 2 * np.log2(tp)
    # a switch that reduces in the network takes each message once in and once out of a GPU
    in_switch = s.gpu.has_nvswitch and s.tensor_link.latency_s == 0
    passes = 1.0 if in_switch else 2 * (tp - 1) / tp
    moved = GRID * s.ops.hidden_size * 2.0 * passes
    seconds = latency + moved / (s.tensor_link.bytes_per_s * k.of("link_use", s.engine, arch))
    return 2 * s.ops.num_layers * np.asarray(seconds)


def _stage_sends(s: Setting) -> Floats:
    """Hidden states pass from stage to stage once per micro-batch."""
    sends = s.pipeline_parallel - 1
    if not sends:
        return np.zeros_like(GRID)
    moved = GRID * s.ops.hidden_size * 2.0 / s.stage_link.bytes_per_s
    return sends * np.asarray(STAGE_HANDOVER_S + s.stage_link.latency_s + moved)
