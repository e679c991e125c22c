"""A plan in words: the choice, what decided it, memory per rank, cost, and what would change it."""

from __future__ import annotations

from collections.abc import Sequence

from shardwright.model.plan import Cost, Plan, RankMemory, Speed
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB, gib

BAR_WIDTH = 48


def explain(request: Request, shape: ModelShape, plan: Plan, changes: Sequence[str] = ()) -> str:
    """Return the text `shardwright plan` prints, ending in a newline."""
    lines = [*_headline(request, plan), ""]
    if plan.memory:
        lines += ["What decided it", *_reasons(request, shape, plan), ""]
        lines += ["Memory of the fullest GPU of each stage", *_bars(plan), ""]
    if plan.cost:
        lines += ["Cost", *_cost(plan.cost), ""]
    if changes:
        lines += ["What would change it", *(f"  - {c}" for c in changes), ""]
    if plan.rejected:
        lines += ["Turned down", *(f"  {r.layout}: {r.reason}" for r in plan.rejected[:8]), ""]
    if plan.findings:
        lines += ["Worth knowing", *(f"  - {f.what}" for f in plan.findings), ""]
    return "\n".join(lines[:-1]) + "\n"


def _headline(request: Request, plan: Plan) -> list[str]:
    layout = plan.layout
    nodes = f"{plan.num_nodes} node{'s' if plan.num_nodes > 1 else ''}"
    where = f"{request.model.id} on {request.cluster.gpu}, {request.engine.name}"
    verdict = "" if plan.fits else ": does NOT fit"
    lines = [f"{where}: {layout}, {layout.num_gpus} GPUs on {nodes}{verdict}"]
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
    if plan.kv_tokens is not None:
        requests = plan.kv_tokens / plan.max_model_len
        lines.append(
            f"  KV cache  {gib(tight.kv_cache_bytes)} per GPU: {plan.kv_tokens:,} tokens, "
            f"{requests:,.1f} requests of {plan.max_model_len:,} tokens at once"
        )
        lines += _against_load(request, plan.kv_tokens)
    if plan.speed:
        lines += _speed(plan.speed)
    origin = ", ".join(sorted({r.origin.value for r in plan.memory}))
    return [*lines, f"  memory figures are {origin}"]


def _against_load(request: Request, kv_tokens: int) -> list[str]:
    load = request.workload
    if load.concurrency is None:
        return []
    asked = load.concurrency * (load.input_tokens + load.output_tokens)
    verdict = "fits" if asked <= kv_tokens else "does not fit: requests will wait or be preempted"
    each = load.input_tokens + load.output_tokens
    return [f"  load      {load.concurrency} x {each:,} tokens = {asked:,}: {verdict}"]


def _speed(speed: Speed) -> list[str]:
    state = "; saturated" if speed.is_saturated else ""
    times = f"TTFT {speed.ttft_s * 1000:,.0f} ms, ITL {speed.itl_s * 1000:.1f} ms"
    rate = f"{speed.output_tokens_per_s:,.0f} output tokens/s{state} ({speed.origin.value})"
    return [f"  speed     {times}, {rate}"]


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


def _bars(plan: Plan) -> list[str]:
    lines = []
    for rank in plan.memory:
        name = f"stage {rank.stage}" if len(plan.memory) > 1 else "each GPU"
        lines.append(f"  {name:9s} [{_bar(rank)}] {gib(rank.total_bytes)}")
    tight = min(plan.memory, key=lambda r: r.kv_cache_bytes)
    legend = "  ".join(f"{letter} {word} {size / GIB:.1f}" for letter, word, size in parts(tight))
    lines.append(f"  {legend}")
    beyond, taken = tight.total_bytes - tight.budget_bytes, parts(tight)[3][2]
    graphs = tight.graphs_bytes - taken
    on_top = f"; CUDA graphs take {gib(graphs)} of it" if graphs > GIB // 10 else ""
    lines.append(f"  . beyond the engine's share {gib(beyond)}{on_top}")
    return lines


def _bar(rank: RankMemory) -> str:
    """Draw one rank, one letter per share of the whole card; overfull ones end in a mark.

    Shares are rounded so that their sum never exceeds the width.
    """
    out = ""
    done = 0
    for letter, _, size in parts(rank):
        done += max(0, size)
        out += letter * (round(done / rank.total_bytes * BAR_WIDTH) - len(out))
    if len(out) > BAR_WIDTH:
        return out[: BAR_WIDTH - 1] + "!"
    return out.ljust(BAR_WIDTH, ".")


def _cost(cost: Cost) -> list[str]:
    lines = [f"  {cost.usd_per_hour:,.2f} US dollars an hour ({cost.source})"]
    if cost.usd_per_million_output_tokens is not None:
        lines.append(
            f"  {cost.usd_per_million_output_tokens:,.2f} US dollars per million output tokens, "
            "at the asked load"
        )
    return lines
