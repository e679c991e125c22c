"""A plan in words: the choice, what decided it, memory per rank, cost, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence

from shardwright.model.folding import folded
from shardwright.model.plan import Basis, Cost, Plan, RankMemory, Speed
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB, gib

BAR_WIDTH = 48
_BESIDE_BAR = 24
"""Columns of a line that holds a bar, without the bar."""


def explain(
    request: Request, shape: ModelShape, plan: Plan, changes: Sequence[str] = (), *,
    width: int | None = None,
) -> str:  # fmt: skip
    """Return the text `shardwright plan` prints, ending in a newline.

    width: columns at which lines are folded and bars end, None for not at all.
    """
    bar_width = BAR_WIDTH if width is None else max(1, min(BAR_WIDTH, width - _BESIDE_BAR))
    lines = [*_headline(request, plan), ""]
    if plan.memory:
        lines += ["What decided it", *_reasons(request, shape, plan), ""]
        lines += ["Memory of the fullest GPU of each stage", *_bars(plan, bar_width), ""]
    if plan.cost:
        lines += ["Cost", *_cost(plan.cost), ""]
    if changes:
        lines += ["What would change it", *(f"  - {c}" for c in changes), ""]
    if plan.rejected:
        lines += ["Turned down", *_turned_down(plan), ""]
    if plan.findings:
        lines += ["Worth knowing", *(f"  - {f.what}" for f in plan.findings), ""]
    return folded("\n".join(lines[:-1]), width) + "\n"


def _headline(request: Request, plan: Plan) -> list[str]:
    layout = plan.layout
    nodes = f"{plan.num_nodes} node{'s' if plan.num_nodes > 1 else ''}"
    gpus = f"{layout.num_gpus} GPU{'s' if layout.num_gpus > 1 else ''}"
    quantized = f", {request.engine.quantization}" if request.engine.quantization else ""
    where = f"{request.model.id} on {request.cluster.gpu}, {request.engine.name}{quantized}"
    verdict = "" if plan.fits else ": does NOT fit"
    if any(finding.code == "objective-missed" for finding in plan.findings):
        verdict = verdict or ": fits, and misses the objective"
    lines = [f"{where}: {layout}, {gpus} on {nodes}{verdict}"]
    if len(plan.stages) > 1:
        lines += [f"  {stage}" for stage in plan.stages]
    return lines


def _reasons(request: Request, shape: ModelShape, plan: Plan) -> list[str]:
    tight = min(plan.memory, key=lambda r: r.kv_cache_bytes)
    lines = [
        (
            f"  weights   {gib(tight.weights_bytes)} of the {gib(tight.budget_bytes)} each GPU may "
            f"use ({gib(tight.total_bytes)} by the driver); "
            f"{shape.num_params / 1e9:,.1f}B parameters"
        )
    ]
    if tight.kv_cache_bytes < 0:
        lines.append(f"  KV cache  none: {gib(-tight.kv_cache_bytes)} per GPU are missing")
    elif plan.kv_tokens is not None:
        requests = plan.kv_tokens / plan.max_model_len
        lines.append(
            f"  KV cache  {gib(tight.kv_cache_bytes)} per GPU: {plan.kv_tokens:,} tokens"
            f"{' per replica' if plan.layout.replicas > 1 else ''}, "
            f"{requests:,.1f} requests of {plan.max_model_len:,} tokens at once"
        )
        lines += _against_load(request, plan)
    if plan.speed:
        lines += _speed(request, plan.speed)
    origins = {r.origin.value for r in plan.memory}
    lines.append(f"  sureness  memory {', '.join(sorted(origins))}{_speed_origin(plan.speed)}")
    return lines


def _speed_origin(speed: Speed | None) -> str:
    return f", speed {speed.origin.value}" if speed else ""


def _against_load(request: Request, plan: Plan) -> list[str]:
    load = request.workload
    if load.concurrency is None or plan.kv_tokens is None:
        return []
    have = plan.kv_tokens * plan.layout.replicas
    each = load.input_tokens + load.output_tokens
    asked = load.concurrency * each
    verdict = "fits" if asked <= have else "does not fit: requests will wait or be preempted"
    return [f"  load      {load.concurrency:,} x {each:,} tokens = {asked:,}: {verdict}"]


def _speed(request: Request, speed: Speed) -> list[str]:
    slo = request.slo
    tail = f"p{slo.percentile:g}"

    def figure(name: str, mean_s: float, tail_s: float, limit_s: float | None, form: str) -> str:
        limit = f", limit {limit_s * 1e3:{form}}" if limit_s else ""
        return f"{name} {mean_s * 1e3:{form}} ms ({tail} {tail_s * 1e3:{form}}{limit})"

    ttft = figure("TTFT", speed.ttft_s, speed.ttft_percentile_s, slo.ttft_s, ",.0f")
    itl = figure("ITL", speed.itl_s, speed.itl_percentile_s, slo.itl_s, ".1f")
    state = "; saturated: more is asked than it serves" if speed.is_saturated else ""
    at = f"{speed.concurrency:,} requests at once" if speed.concurrency else "the asked rate"
    return [
        f"  speed     {ttft}, {itl}",
        (
            f"  rate      {speed.output_tokens_per_s:,.0f} output tokens/s at {at}, "
            f"{speed.output_tokens_per_s_per_gpu:,.1f} per GPU{state}"
        ),
    ]


def to_write(asked: Request, chosen: Request, plan: Plan) -> list[str]:
    """Return the lines of a spec that make the choice of a basis or a load stay."""
    lines = []
    if chosen.cluster.gpu != asked.cluster.gpu:
        lines.append(f"  cluster: {{gpu: {chosen.cluster.gpu}}}")
    if chosen.engine != asked.engine:
        quantized = chosen.engine.quantization
        more = f", quantization: {quantized}" if quantized else ""
        lines.append(f"  engine: {{name: {chosen.engine.name}{more}}}")
    if chosen.workload != asked.workload:
        lines.append(f"  workload: {{concurrency: {chosen.workload.concurrency}}}")
    if lines:
        layout = plan.layout
        degrees = {
            "tensor": layout.tensor_parallel,
            "pipeline": layout.pipeline_parallel,
            "data": layout.data_parallel,
            "expert": layout.expert_parallel,
            "replicas": layout.replicas,
        }
        said = ", ".join(f"{k}: {v}" for k, v in degrees.items() if v > 1 or k == "tensor")
        lines.append(f"  parallelism: {{{said}}}")
    return lines


NEAREST = 6


def _turned_down(plan: Plan) -> list[str]:
    """The nearest layouts; where bases were free, one for every GPU, engine and quantization."""
    own = [r for r in plan.rejected if r.basis == plan.basis]
    others = [r for r in plan.rejected if r.basis != plan.basis]
    shown = own[: NEAREST if others else NEAREST + 2]
    told = _names(plan.basis)
    for r in sorted(others, key=lambda r: r.layout is None):
        if not _names(r.basis) <= told:
            told |= _names(r.basis)
            shown.append(r)
    lines = []
    for r in shown:
        where = f"{r.basis}, " if others else ""
        lines.append(f"  {where}{r.layout or 'any layout'}: {r.reason}")
    rest = len(plan.rejected) - len(shown)
    if rest > 0:
        lines.append(f"  and {rest:,} more: ask with --why, such as --why tp=4")
    return lines


def _names(basis: Basis | None) -> set[str]:
    if basis is None:
        return set()
    return {basis.gpu, basis.engine, basis.quantization or "as published"}


def parts(rank: RankMemory) -> tuple[tuple[str, str, int], ...]:
    """Return letter, word and bytes of each share of the engine's budget.

    Graphs count only as far as the engine takes them out of its budget; the rest comes on top.
    """
    sure = rank.weights_bytes + rank.activation_bytes + rank.runtime_bytes
    return (
        ("W", "weights", rank.weights_bytes),
        ("A", "activation", rank.activation_bytes),
        ("R", "runtime", rank.runtime_bytes),
        ("G", "graphs", max(0, rank.budget_bytes - sure - rank.kv_cache_bytes)),
        ("K", "KV cache", rank.kv_cache_bytes),
    )


def _bars(plan: Plan, width: int) -> list[str]:
    lines = []
    for rank in plan.memory:
        name = f"stage {rank.stage}" if len(plan.memory) > 1 else "each GPU"
        lines.append(f"  {name:9s} [{_bar(rank, width)}] {gib(rank.total_bytes)}")
    tight = min(plan.memory, key=lambda r: r.kv_cache_bytes)
    legend = "  ".join(f"{letter} {word} {size / GIB:.1f}" for letter, word, size in parts(tight))
    lines.append(f"  {legend}")
    beyond, taken = tight.total_bytes - tight.budget_bytes, parts(tight)[3][2]
    graphs = tight.graphs_bytes - taken
    on_top = f"; CUDA graphs take {gib(graphs)} of it" if graphs > GIB // 10 else ""
    lines.append(f"  . beyond the engine's share {gib(beyond)}{on_top}")
    return lines


def _bar(rank: RankMemory, width: int) -> str:
    """Draw one rank, one letter per share of the whole card; overfull ones end in a mark.

    Shares are rounded so that their sum never exceeds the width.
    """
    out = ""
    done = 0
    for letter, _, size in parts(rank):
        done += max(0, size)
        out += letter * (round(done / rank.total_bytes * width) - len(out))
    if len(out) > width:
        return out[: width - 1] + "!"
    return out.ljust(width, ".")


def _cost(cost: Cost) -> list[str]:
    lines = [
        (
            f"  {cost.usd_per_hour:,.2f} US dollars an hour, {cost.usd_per_gpu_hour:,.2f} per GPU "
            f"({cost.source})"
        )
    ]
    if cost.usd_per_million_output_tokens is not None:
        lines.append(
            f"  {cost.usd_per_million_output_tokens:,.2f} per million output tokens at the asked "
            "load, if they bear it all"
        )
    if cost.shared_usd_per_million_input_tokens is not None:
        lines.append(
            f"  {cost.shared_usd_per_million_input_tokens:,.2f} per million input and "
            f"{cost.shared_usd_per_million_output_tokens:,.2f} per million output tokens, shared "
            "by the GPU time they take"
        )
    return lines
