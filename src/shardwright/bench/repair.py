"""What would mend a missed objective: the cheapest change the planner believes in, with its effect.

The planner is held to what was measured: each predicted figure is scaled by measured over predicted
of the deployment that was loaded, so a planner that is 20 % too fast promises 20 % less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shardwright.facts.gpus import gpu
from shardwright.model.errors import ShardwrightError
from shardwright.model.plan import Plan
from shardwright.model.request import Parallelism, Request
from shardwright.model.shape import ModelShape
from shardwright.planner.plan import make_plan
from shardwright.verify.verdict import Outcome, Verdict

BATCH_TOKENS = (8192, 4096, 2048, 1024, 512)
"""Prefill budgets of a step that are tried: fewer tokens keep a step short, more end a prompt
sooner."""

TOO_FAR = 3.0
LESS_LOAD = 4
"""Rank of asking less of the endpoint: no repair of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One change and its predicted effect, seconds. extra_gpus: beyond those in use.

    field: what to write in the spec. meets: whether both objectives are then met.
    """

    change: str
    field: str
    extra_gpus: int
    ttft_s: float
    itl_s: float
    output_tokens_per_s: float
    usd_per_hour: float | None
    meets: bool
    caveat: str = ""

    def sentence(self) -> str:
        """Say it in one line."""
        cost = ""
        if self.extra_gpus > 0:
            cost = f", {self.extra_gpus} more GPUs"
        elif self.extra_gpus < 0:
            cost = f", {-self.extra_gpus} fewer GPUs"
        if self.usd_per_hour is not None:
            cost += f", {self.usd_per_hour:,.2f} USD an hour"
        text = (
            f"{self.change} ({self.field}{cost}): predicted TTFT {self.ttft_s * 1e3:,.0f} ms, ITL "
            f"{self.itl_s * 1e3:.1f} ms, {self.output_tokens_per_s:,.0f} tokens/s"
        )
        return f"{text}; {self.caveat}" if self.caveat else text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    words: str
    field: str
    request: Request
    rank: float  # among changes that need equally many GPUs: the least intrusive first
    caveat: str = ""


def repairs(
    request: Request, shape: ModelShape, plan: Plan, verdict: Verdict
) -> tuple[Repair, ...]:
    """Return changes that are predicted to meet the objective, cheapest first; where none does,
    the one that comes nearest. Empty if nothing is missed or nothing is predicted.
    """
    over = [term.name for term in verdict.terms if term.outcome is Outcome.FAIL]
    if not over or plan.speed is None or too_far_off(verdict):
        return ()
    scale = {
        term.name: (term.measured_s or 0.0) / term.predicted_s
        for term in verdict.terms
        if term.predicted_s and term.measured_s
    }
    if not scale:
        return ()
    found: list[tuple[tuple[float, ...], Repair]] = []
    for change in _changes(request, shape, plan, scale):
        try:
            made = make_plan(change.request, shape)
        except ShardwrightError:
            continue  # a layout the model cannot be cut into
        if made.speed is None or not made.fits or made.speed.is_saturated:
            continue
        repair, excess = _effect(change, made, plan, request, scale)
        found.append(((not repair.meets, repair.extra_gpus, change.rank, excess), repair))
    found.sort(key=lambda pair: pair[0])
    meeting = [(key, repair) for key, repair in found if repair.meets]
    if meeting:
        mends = [repair for key, repair in meeting if key[2] < LESS_LOAD]
        less = [repair for key, repair in meeting if key[2] >= LESS_LOAD]
        return tuple(dict.fromkeys((*mends[:3], *less[:1])))
    nearest = sorted(found, key=lambda pair: pair[0][-1])
    return tuple(repair for _, repair in nearest[:1])


def too_far_off(verdict: Verdict) -> str | None:
    """Say so where the prediction is of another deployment altogether: no advice rests on it.

    The planner's errors on groups it has not seen stay well within a factor of three
    (docs/accuracy.md).
    """
    for term in verdict.terms:
        if term.predicted_s and term.measured_s:
            ratio = term.measured_s / term.predicted_s
            if not 1 / TOO_FAR <= ratio <= TOO_FAR:
                return (
                    f"{term.name} measured is {ratio:.2g} times the prediction: is this the "
                    "hardware, engine and layout of the spec?"
                )
    return None


def _effect(
    change: _Change, made: Plan, now: Plan, request: Request, scale: dict[str, float]
) -> tuple[Repair, float]:
    slo, speed = request.slo, made.speed
    if speed is None:
        raise AssertionError("a change without a speed was kept")
    ttft = speed.ttft_percentile_s * scale.get("ttft", 1.0)
    itl = speed.itl_percentile_s * scale.get("itl", 1.0)
    excess = max(
        ttft / slo.ttft_s if slo.ttft_s else 0.0,
        itl / slo.itl_s if slo.itl_s else 0.0,
    )
    repair = Repair(
        change=change.words or f"lay it out as {made.layout}",
        field=change.field or _layout_field(made),
        extra_gpus=made.layout.num_gpus - now.layout.num_gpus,
        ttft_s=ttft,
        itl_s=itl,
        output_tokens_per_s=speed.output_tokens_per_s,
        usd_per_hour=made.cost.usd_per_hour if made.cost else None,
        meets=excess <= 1,
        caveat=change.caveat,
    )
    return repair, excess


def _changes(
    request: Request, shape: ModelShape, plan: Plan, scale: dict[str, float]
) -> Iterator[_Change]:
    pinned = replace(request, parallelism=_as_it_is(plan))
    engine = request.engine
    now = engine.max_num_batched_tokens
    for tokens in BATCH_TOKENS:
        if tokens != now and request.workload.input_tokens > 0:
            yield _Change(
                words=f"let a step take {tokens} tokens",
                field=f"engine.maxNumBatchedTokens: {tokens}",
                request=replace(pinned, engine=replace(engine, max_num_batched_tokens=tokens)),
                rank=0,
            )
    if engine.kv_cache_dtype is None and gpu(request.cluster.gpu).fp8_flops:
        yield _Change(
            words="keep the KV cache in 8 bits",
            field="engine.kvCacheDtype: fp8",
            request=replace(pinned, engine=replace(engine, kv_cache_dtype="fp8")),
            rank=1,
            caveat="what it costs in accuracy is unknown until measured",
        )
    is_full = shape.quantization is None and engine.quantization is None
    if is_full and gpu(request.cluster.gpu).fp8_flops:
        yield _Change(
            words="quantize the weights to FP8",
            field="engine.quantization: fp8",
            request=replace(pinned, engine=replace(engine, quantization="fp8")),
            rank=2,
            caveat="what it costs in accuracy is unknown until measured",
        )
    yield from _layouts(request, plan, scale)
    yield from _less_load(pinned)


def _layouts(request: Request, plan: Plan, scale: dict[str, float]) -> Iterator[_Change]:
    """Let the planner choose within the GPUs at hand, then with one, two and three times as many,
    against an objective tightened by how much it was too optimistic.
    """
    slo = request.slo
    tight = replace(
        slo,
        ttft_s=slo.ttft_s / max(scale.get("ttft", 1.0), 1e-9) if slo.ttft_s else None,
        itl_s=slo.itl_s / max(scale.get("itl", 1.0), 1e-9) if slo.itl_s else None,
    )
    per_node = request.cluster.gpus_per_node
    have = request.cluster.nodes or plan.num_nodes
    for nodes in sorted({plan.num_nodes, have, 2 * plan.num_nodes, 3 * plan.num_nodes}):
        if nodes * per_node >= plan.layout.num_gpus:
            yield _Change(
                words="",
                field="",
                request=replace(
                    request,
                    slo=tight,
                    parallelism=Parallelism(),
                    cluster=replace(request.cluster, nodes=nodes),
                ),
                rank=3,
            )


def _less_load(pinned: Request) -> Iterator[_Change]:
    """Ask less of one endpoint, the most first: the last resort."""
    load = pinned.workload
    for eighths in (7, 6, 5, 4, 3, 2, 1):
        concurrency = load.concurrency * eighths // 8 if load.concurrency else None
        rate = load.requests_per_s * eighths / 8 if load.requests_per_s else None
        if not concurrency and not rate:
            continue
        words = f"{concurrency} requests at once" if concurrency else f"{rate:g} requests/s"
        field = f"concurrency: {concurrency}" if concurrency else f"requestsPerSecond: {rate:g}"
        yield _Change(
            words=f"send it at most {words}",
            field=f"workload.{field}",
            request=replace(
                pinned, workload=replace(load, concurrency=concurrency, requests_per_s=rate)
            ),
            rank=LESS_LOAD + (8 - eighths) / 8,
            caveat="the rest of the load needs another replica",
        )


def _as_it_is(plan: Plan) -> Parallelism:
    layout = plan.layout
    return Parallelism(
        tensor=layout.tensor_parallel,
        pipeline=layout.pipeline_parallel,
        replicas=layout.replicas,
    )


def _layout_field(plan: Plan) -> str:
    layout = plan.layout
    text = f"parallelism: {{tensor: {layout.tensor_parallel}, pipeline: {layout.pipeline_parallel}"
    return text + (f", replicas: {layout.replicas}}}" if layout.replicas > 1 else "}")
