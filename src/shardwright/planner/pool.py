"""All candidates of a search: layouts that fit, on every basis, each with a quick estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shardwright.model.layout import Layout
from shardwright.model.plan import Basis, Rejected
from shardwright.model.request import Request
from shardwright.planner.bases import Ask
from shardwright.planner.candidates import examine, gpu_limit
from shardwright.planner.deployment import Setup
from shardwright.planner.front import Loads
from shardwright.planner.memory import MemoryAnswer
from shardwright.planner.serving_speed import Estimated, curve, quick, setup_for
from shardwright.planner.steptime import StepTable

CROSSING_DOUBT = 1.15
"""Factor by which tensor parallelism across nodes must be quicker to be taken. Assumed: latency and
bandwidth between nodes come from data sheets, no measured row has such a group, and what has rows
errs by about as much (docs/accuracy.md)."""


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
    def crosses_nodes(self) -> bool:
        """Whether its tensor-parallel groups are larger than what one fast link joins."""
        node = max(self.ask.request.cluster.gpus_per_node, self.setup.gpu.domain_gpus)
        return self.layout.tensor_parallel > node

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
    loads: list[Loads]
    is_priced: bool

    def money(self, c: Candidate) -> float:
        """Return what a candidate costs: money where every basis has a price, else its GPUs."""
        return (c.usd_per_hour or 0.0) if self.is_priced else float(c.layout.num_gpus)


def pool_of(asks: Sequence[Ask]) -> Pool:
    """Return the candidates of all bases."""
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    loads: list[Loads] = []
    for ask in asks:
        fitting, cannot = examine(ask.request, ask.shape, ask.engine, ask.max_model_len, ask.basis)
        rejected += cannot
        flat: dict[Layout, StepTable] = {}
        for fit in fitting:
            setup = setup_for(ask.request, ask.shape, fit.layout, fit.memory.kv_tokens, flat)
            copies = replicated(ask.request, fit.layout)
            guesses = quick(ask.request, copies, setup)
            candidates += [
                Candidate(ask=ask, layout=layout, memory=fit.memory, setup=setup, guess=guess)
                for layout, guess in zip(copies, guesses, strict=True)
            ]
            at_loads = curve(ask.request, fit.layout, setup)
            loads.append(Loads(basis=ask.basis, layout=fit.layout, curve=at_loads))
    return Pool(
        candidates=candidates,
        rejected=rejected,
        loads=loads,
        is_priced=all(a.usd_per_gpu_hour is not None for a in asks),
    )


def replicated(request: Request, layout: Layout) -> list[Layout]:
    """Return a layout with 1, 2, 4 .. copies as far as GPUs and load allow, or as pinned."""
    if request.parallelism.replicas:
        return [replace(layout, replicas=request.parallelism.replicas)]
    out, copies = [layout], 2
    most = gpu_limit(request) // layout.gpus_per_replica
    most = min(most, request.workload.concurrency or most)
    while copies <= most:
        out.append(replace(layout, replicas=copies))
        copies *= 2
    return out
