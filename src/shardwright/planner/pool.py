"""All candidates of a search: layouts that fit, on every basis, each with a quick estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shardwright.model.layout import Layout
from shardwright.model.plan import Alternative, Basis, Rejected
from shardwright.model.request import Request
from shardwright.planner.bases import Ask
from shardwright.planner.candidates import examine, gpu_limit
from shardwright.planner.latency import Setup
from shardwright.planner.memory import MemoryAnswer
from shardwright.planner.serving_speed import Estimated, curve, quick, setup_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A layout with replicas that fits, its memory, its step times and a quick estimate."""

    ask: Ask
    layout: Layout
    memory: MemoryAnswer
    setup: Setup
    guess: Estimated

    @property
    def key(self) -> tuple[Basis, Layout]:
        """What tells candidates of one search apart."""
        return self.ask.basis, self.layout

    @property
    def usd_per_hour(self) -> float | None:
        """Price of all its GPUs, None where none is known."""
        price = self.ask.usd_per_gpu_hour
        return price * self.layout.num_gpus if price is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Candidates, layouts that cannot run, and every layout at every load, as estimated."""

    candidates: list[Candidate]
    rejected: list[Rejected]
    points: list[Alternative]
    is_priced: bool

    def money(self, c: Candidate) -> float:
        """Return what a candidate costs: money where every basis has a price, else its GPUs."""
        return (c.usd_per_hour or 0.0) if self.is_priced else float(c.layout.num_gpus)


def pool_of(asks: Sequence[Ask]) -> Pool:
    """Return the candidates of all bases."""
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    points: list[Alternative] = []
    for ask in asks:
        fitting, cannot = examine(ask.request, ask.shape, ask.engine, ask.max_model_len, ask.basis)
        rejected += cannot
        for fit in fitting:
            setup = setup_for(ask.request, ask.shape, fit.layout, fit.memory.kv_tokens)
            copies = replicated(ask.request, fit.layout)
            guesses = quick(ask.request, copies, setup)
            candidates += [
                Candidate(ask=ask, layout=layout, memory=fit.memory, setup=setup, guess=guess)
                for layout, guess in zip(copies, guesses, strict=True)
            ]
            points += [_point(ask, fit.layout, e) for e in curve(ask.request, fit.layout, setup)]
    return Pool(
        candidates=candidates,
        rejected=rejected,
        points=points,
        is_priced=all(a.usd_per_gpu_hour is not None for a in asks),
    )


def _point(ask: Ask, layout: Layout, e: Estimated) -> Alternative:
    return Alternative(
        basis=ask.basis,
        layout=layout,
        concurrency=e.concurrency,
        output_tokens_per_s_per_gpu=e.output_tokens_per_s / layout.num_gpus,
        output_tokens_per_s_per_user=1 / e.itl_s,
        ttft_s=e.ttft_s,
    )


def replicated(request: Request, layout: Layout) -> list[Layout]:
    """Return a layout with 1, 2, 4 .. copies as far as GPUs and load allow, or as pinned."""
    if request.parallelism.replicas:
        return [replace(layout, replicas=request.parallelism.replicas)]
    out, copies = [], 1
    most = gpu_limit(request) // layout.gpus_per_replica
    while copies <= min(most, request.workload.concurrency or most):
        out.append(replace(layout, replicas=copies))
        copies *= 2
    return out
