"""From a request and a model's shape to a plan. The entry point of this room."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from shardwright.engines import find_engine
from shardwright.facts.gpus import gpu
from shardwright.model.layout import Layout, stages_of
from shardwright.model.plan import Plan, Rejected, Speed
from shardwright.model.request import Parallelism, Request
from shardwright.model.shape import ModelShape
from shardwright.planner.bases import Allowed, Ask, ask_of, asks_of
from shardwright.planner.cost import cost_of
from shardwright.planner.fit import fit
from shardwright.planner.layouts import choose_layout, num_nodes
from shardwright.planner.memory import MemoryAnswer
from shardwright.planner.objective import Objective
from shardwright.planner.prices import Prices
from shardwright.planner.remarks import remarks
from shardwright.planner.search import Found, search
from shardwright.planner.serving_speed import setup_for, simulated


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a search beside the request itself."""

    allowed: Allowed = field(default_factory=Allowed)
    objective: Objective = Objective.COST
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A plan and the request it answers: on the basis and under the load that were chosen."""

    request: Request
    plan: Plan


def make_plan(request: Request, shape: ModelShape) -> Plan:
    """Decide the layout and what follows from it. Raises ShardwrightError on an impossible pin."""
    return choose(request, shape, Question()).plan


def choose(request: Request, shape: ModelShape, question: Question) -> Chosen:
    """Decide basis, layout and, where it is free, the load."""
    own = ask_of(request, shape, question.prices)
    pinned = request.parallelism
    is_open = question.allowed.is_open or question.objective is Objective.THROUGHPUT
    if not is_open and (
        (pinned.tensor and pinned.pipeline) or not gpu(request.cluster.gpu).bf16_flops
    ):
        return Chosen(request=request, plan=_laid_out(own, shape, question))
    found, cannot = _searched(request, shape, question, own)
    if found.chosen is None:
        made = _laid_out(own, shape, question)
        return Chosen(request=request, plan=replace(made, rejected=(*found.rejected, *cannot)))
    best = found.chosen
    made = _plan(best.ask, shape, best.layout, best.memory, found.speed, question)
    made = replace(made, rejected=(*found.rejected, *cannot), front=found.front)
    notes = remarks(best.ask, made, found.meets_slo)
    return Chosen(request=best.ask.request, plan=replace(made, findings=(*made.findings, *notes)))


def alternatives(
    request: Request, shape: ModelShape, question: Question | None = None
) -> tuple[Rejected, ...]:
    """Return every layout on every basis with its reason, whatever the user pins: what
    `shardwright plan --why` looks in.
    """
    question = question or Question()
    free = replace(request, parallelism=Parallelism())
    found, cannot = _searched(free, shape, question, ask_of(free, shape, question.prices))
    if found.chosen is None:
        return (*found.rejected, *cannot)
    best = Rejected(
        layout=found.chosen.layout,
        code="chosen",
        reason="the one we would choose, unpinned",
        basis=found.chosen.ask.basis,
    )
    return (best, *found.rejected, *cannot)


def _searched(
    request: Request, shape: ModelShape, question: Question, own: Ask
) -> tuple[Found, Iterable[Rejected]]:
    if not question.allowed.is_open:
        return search([own], question.objective), ()
    asks, cannot = asks_of(request, shape, question.allowed, question.prices)
    return search(asks, question.objective), cannot


def _laid_out(ask: Ask, shape: ModelShape, question: Question) -> Plan:
    """Return the plan of a layout nobody had to choose."""
    request = ask.request
    layout = choose_layout(request, shape, ask.engine)
    memory = fit(request, shape, layout, ask.max_model_len)
    speed = None
    if memory.fits and gpu(request.cluster.gpu).bf16_flops:
        setup = setup_for(request, ask.shape, layout, memory.kv_tokens)
        speed = simulated(request, layout, setup)
    made = _plan(ask, shape, layout, memory, speed, question)
    return replace(made, findings=(*made.findings, *remarks(ask, made, meets_slo=False)))


def _plan(
    ask: Ask,
    shape: ModelShape,
    layout: Layout,
    memory: MemoryAnswer,
    speed: Speed | None,
    question: Question,
) -> Plan:
    request = ask.request
    engine = find_engine(request.engine.name)
    price = question.prices.of(ask.basis.gpu)
    return Plan(
        layout=layout,
        stages=stages_of(engine.split_layers(shape.num_layers, layout.pipeline_parallel)),
        num_nodes=num_nodes(layout, request.cluster.gpus_per_node),
        max_model_len=ask.max_model_len,
        fits=memory.fits,
        basis=ask.basis,
        memory=memory.ranks,
        kv_tokens=memory.kv_tokens * layout.data_parallel,
        speed=speed,
        cost=cost_of(price, layout.num_gpus, request.workload, speed),
        findings=shape.findings,
    )
