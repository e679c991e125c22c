"""From a point to the latency and throughput a load test would measure there.

`predict` replays the engine's scheduler; `Setup` holds what many points of one deployment share,
so that a table or a search builds step times once. Equations: docs/planner.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from shardwright.facts.aliases import canonical, nearest
from shardwright.facts.gpus import Gpu, gpu
from shardwright.model.errors import usage_error
from shardwright.model.origin import Origin, weakest
from shardwright.model.request import Fabric
from shardwright.model.shape import ModelShape
from shardwright.planner.analytic import max_requests_per_s
from shardwright.planner.capacity import Room, room_of
from shardwright.planner.coefficients import Coefficients, packaged
from shardwright.planner.links import DEFAULT_FABRIC, Link, links_of
from shardwright.planner.load import OPEN_LOOP_REQUESTS, Load, load_of
from shardwright.planner.ops import ops_of
from shardwright.planner.point import STEADY, Point
from shardwright.planner.precision import precision_of
from shardwright.planner.scheduling import Scheduling, era_of, scheduling_of
from shardwright.planner.simulate import WHOLE_PROMPTS, replay
from shardwright.planner.steptime import Setting, StepTable, architecture_of, step_table
from shardwright.shape import load

CALIBRATED = frozenset({"hopper", "blackwell"})
"""Architectures with rows in the calibration; figures for others are assumed."""

OFFLINE_SEQUENCE_SHARE = 0.4
"""Share of a sequence's cost per step that is left at maximum load, where no client is streamed to.
Read off throughput.csv."""

TURNAROUND_S = 0.003
"""Seconds between a client's last token and its next request. Assumed: one HTTP round trip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Times in seconds, rates in tokens per second. ttft_s and tpot_s are means over requests,
    tails are at the 95th percentile unless another was asked for: ttft and tpot over requests, itl
    over single gaps, where every prefill that joins a step shows.
    """

    ttft_s: float
    tpot_s: float
    ttft_tail_s: float
    tpot_tail_s: float
    itl_tail_s: float
    output_tokens_per_s: float
    output_tokens_per_s_per_gpu: float
    concurrency: float
    is_saturated: bool
    origin: Origin
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A deployment made ready for prediction. capacity: KV-cache tokens of one replica."""

    table: StepTable
    engine: str
    era: str
    gpu: Gpu
    capacity: int
    tensor_link: Link
    origin: Origin
    note: str = ""


def setting_of(
    point: Point,
    shape: ModelShape,
    *,
    fabric: Fabric = DEFAULT_FABRIC,
    gpus_per_node: int | None = None,
) -> Setting:
    """Return what the step times of a point's deployment depend on."""
    engine = engine_of(point.engine)
    device = gpu(point.gpu)
    dtype = dtype_of(point, shape)
    tensor_link, stage_link = links_of(
        device,
        point.tensor_parallel,
        point.pipeline_parallel,
        gpus_per_node=gpus_per_node,
        fabric=fabric,
    )
    return Setting(
        ops=ops_of(shape),
        precision=precision_of(
            dtype,
            device,
            is_moe=shape.moe is not None,
            is_mxfp4=shape.quantization is not None and shape.quantization.method == "mxfp4",
            kv=point.kv_cache_dtype,
        ),
        gpu=device,
        engine=engine,
        era=era_of(engine, point.engine_version, point.window),
        scales=scales_of(shape, dtype),
        tensor_parallel=point.tensor_parallel,
        pipeline_parallel=point.pipeline_parallel,
        expert_parallel=point.expert_parallel,
        attention_dp=point.attention_dp,
        tensor_link=tensor_link,
        stage_link=stage_link,
    )


def setup_of(point: Point, shape: ModelShape, k: Coefficients) -> Setup:
    """Tabulate step times and KV capacity of the deployment a point names."""
    setting = setting_of(point, shape)
    room = room_of(point, setting, shape, dtype_of(point, shape))
    return prepared(setting, shape, k, room)


def prepared(setting: Setting, shape: ModelShape, k: Coefficients, room: Room) -> Setup:
    """Tabulate step times of a setting whose KV cache is known."""
    is_sure = not room.note and architecture_of(setting.gpu) in CALIBRATED
    return Setup(
        table=step_table(setting, k),
        engine=setting.engine,
        era=setting.era,
        gpu=setting.gpu,
        capacity=room.tokens,
        tensor_link=setting.tensor_link,
        note=room.note,
        origin=weakest(shape.origin, Origin.MODELLED if is_sure else Origin.ASSUMED),
    )


def predict(
    point: Point, shape: ModelShape | None = None, k: Coefficients | None = None
) -> Latency:
    """Predict one point. Raises ShardwrightError for a model, GPU, engine or layout that is unknown
    or does not fit.
    """
    shape = shape or _shape(point.model)
    k = k or packaged()
    setup = setup_of(point, shape, k)
    return run(point, setup, k)


@lru_cache(maxsize=64)
def _shape(model: str) -> ModelShape:
    return load(model)


def engine_of(name: str) -> str:
    """Return the engine's one name; a version written after it is no part of it.

    >>> engine_of("TensorRT-LLM 1.0 pytorch")
    'trtllm'
    """
    found = canonical("engine", name) or canonical("engine", name.split()[0])
    if found in {"vllm", "sglang", "trtllm"}:
        return str(found)
    raise usage_error(
        "unknown-engine",
        f"{name!r} is not an engine we have calibrated",
        remedy="use one of " + ", ".join(nearest(name, ("vllm", "sglang", "trtllm")) or ("vllm",)),
    )


def dtype_of(point: Point, shape: ModelShape) -> str:
    """Return the canonical dtype: what the point says, else how the checkpoint is stored."""
    name = (point.quantization or point.dtype or "auto").lower()
    if name in {"auto", "unstated"}:
        bits = shape.quantization.scheme.weight_bits if shape.quantization else 16
        return {4: "fp4" if shape.quantization and "4" in shape.quantization.method else "int4",
                8: "fp8"}.get(bits, "bf16")  # fmt: skip
    return canonical("dtype", name) or name


def scales_of(shape: ModelShape, dtype: str) -> str:
    """Return whether FP8 weights are scaled by blocks or by tensors, which kernels depend on.

    A checkpoint that says so is believed. Of the rest, Meta's families are published with scales
    per tensor or channel, later ones in blocks of 128 x 128 (DeepSeek's form).
    """
    if dtype != "fp8":
        return "tensor"
    if shape.quantization is not None and shape.quantization.method == "fp8":
        return "block" if shape.quantization.scheme.group != (1, 1) else "tensor"
    tensor = shape.model_type.startswith(("llama", "mistral", "mixtral", "gemma", "qwen2"))
    return "tensor" if tensor else "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The arguments of `simulate.replay`, and the slots they stand for."""

    tokens: list[float]
    head: list[float]
    rates: tuple[float, ...]
    loop: tuple[float, ...]
    load: Load
    sched: Scheduling
    slots: int
    slots_per_batch: int


def replay_of(point: Point, setup: Setup, k: Coefficients) -> Replay:
    """Return what is to be replayed: with pipeline stages, one of as many alternating batches."""
    sched = scheduling_of(point, setup.engine, setup.gpu.id, architecture_of(setup.gpu))
    stages, t = point.pipeline_parallel, setup.table
    slots = _slots(point, setup, sched)
    per_batch = max(1, round(slots / stages))
    load = load_of(point, sched, per_batch)
    # nobody is streamed to in an offline run
    offline = OFFLINE_SEQUENCE_SHARE if point.concurrency is None and not point.request_rate else 1
    return Replay(
        tokens=t.tokens.tolist(),
        head=t.head.tolist(),
        rates=(
            t.kv_s, t.pair_s, t.seq_s * offline, t.gap_s, t.prefill_floor_s, t.prefill_gap_s,
            k.of("lookahead", setup.engine, setup.era),
        ),
        loop=(
            float(per_batch), float(sched.policy), float(sched.token_budget),
            setup.capacity / stages, float(sched.poll_steps), TURNAROUND_S, float(sched.depth),
            float(max(1, sched.max_num_seqs // stages)),
            0.0 if load.burst_share else float(per_batch),
        ),
        load=load,
        sched=sched,
        slots=slots,
        slots_per_batch=per_batch,
    )  # fmt: skip


def run(point: Point, setup: Setup, k: Coefficients, percentile: float = 95.0) -> Latency:
    """Replay the point's load on a prepared setup; tails are at the percentile."""
    r = replay_of(point, setup, k)
    load, first = r.load, r.slots_per_batch
    ttft, tpot, ends, gaps, weights = replay(
        r.tokens, r.head, r.rates, r.loop, load.prompts, load.outputs, load.behind, load.due
    )
    fixed = fixed_ttft_s(point, setup, k)
    mean_ttft = mean_over_run(ttft, first, load.burst_share) + fixed
    mean_tpot = mean_over_run(tpot, first, load.burst_share)
    total = _throughput(point, mean_ttft, mean_tpot, r, ends)
    kept = ttft if load.burst_share else ttft[first:]
    return Latency(
        ttft_s=mean_ttft,
        tpot_s=mean_tpot,
        ttft_tail_s=_quantile(kept, percentile / 100) + fixed,
        tpot_tail_s=_quantile(tpot if load.burst_share else tpot[first:], percentile / 100),
        itl_tail_s=_weighted_quantile(gaps, weights, percentile / 100),
        output_tokens_per_s=total,
        output_tokens_per_s_per_gpu=total / (point.tensor_parallel * point.pipeline_parallel),
        concurrency=float(r.slots),
        is_saturated=_is_saturated(point, r.sched, r, setup),
        origin=setup.origin,
        note=setup.note,
    )


def mean_over_run(values: list[float], first: int, burst_share: float) -> float:
    """Mean over a run of which later rounds may have been cut: the first `first` requests weigh
    burst_share. An open loop, whose requests all count alike, has share 1.

    >>> mean_over_run([4.0, 1.0, 1.0], 1, 0.1)
    1.3
    """
    early, late = values[:first], values[first:]
    if burst_share >= 1 or not late:
        return _mean(values)
    return burst_share * _mean(early) + (1 - burst_share) * _mean(late)


def _slots(point: Point, setup: Setup, sched: Scheduling) -> int:
    """Requests in the system: the given concurrency, what fits at maximum load, or for an arrival
    rate as many as requests are simulated.
    """
    if point.request_rate:
        return OPEN_LOOP_REQUESTS * point.pipeline_parallel
    if point.concurrency is not None:
        return point.concurrency
    share = 1.0 if sched.policy == WHOLE_PROMPTS else 0.5
    held = (point.isl_mean or point.isl) + share * (point.osl_mean or point.osl)
    return max(1, min(sched.max_num_seqs, int(setup.capacity / held) or 1))


def fixed_ttft_s(point: Point, setup: Setup, k: Coefficients) -> float:
    """Seconds that are not the engine's steps: HTTP, tokenizing, and the way back, which is shared
    by all streams.
    """
    if point.window == STEADY:
        return k.of("first_token_s", "in-process")
    tokens = point.isl_mean or float(point.isl)
    streams = k.of("stream_s", setup.engine, setup.era) * (point.concurrency or 0)
    return k.of("first_token_s", setup.engine, setup.era) + k.of("tokenize_s") * tokens + streams


def _throughput(point: Point, ttft: float, tpot: float, r: Replay, ends: list[float]) -> float:
    """Output tokens per second of all batches: by Little's law in a closed loop, by counting what
    came out between the first and the last end elsewhere.
    """
    if point.concurrency is not None and not point.request_rate:
        osl = point.osl_mean or float(point.osl)
        return point.concurrency * osl / (ttft + (osl - 1) * tpot + TURNAROUND_S)
    # one whole round, between the filling of the slots and their running dry
    order = sorted(range(len(ends)), key=ends.__getitem__)
    first = 0 if point.request_rate else min(r.slots_per_batch, len(order) // 3)
    last = len(order) if point.request_rate else max(first + 1, 2 * len(order) // 3)
    start = ends[order[first - 1]] if first else 0.0
    produced = sum(r.load.outputs[i] for i in order[first:last])
    return point.pipeline_parallel * produced / max(ends[order[last - 1]] - start, 1e-9)


def _is_saturated(point: Point, sched: Scheduling, r: Replay, setup: Setup) -> bool:
    """Whether more is asked than can be served: a rate beyond the most that is sustained, or more
    sequences than the KV cache holds.
    """
    isl, osl = point.isl_mean or float(point.isl), point.osl_mean or float(point.osl)
    held = isl + 0.5 * osl
    fits = int(setup.capacity / held) if setup.capacity else sched.max_num_seqs
    if point.request_rate:
        stages = point.pipeline_parallel
        most = max(1, min(sched.max_num_seqs, fits) // stages)
        missed = isl * (1 - point.prefix_hit_rate)
        rate = max_requests_per_s(setup.table, missed, osl, sched.token_budget, most) * stages
        return point.request_rate > rate
    return point.concurrency is not None and r.slots > fits


def _mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def _quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def _weighted_quantile(values: list[float], weights: list[float], q: float) -> float:
    total, so_far = sum(weights), 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        so_far += weight
        if so_far >= q * total:
            return value
    return values[-1]
