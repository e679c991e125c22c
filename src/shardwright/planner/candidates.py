"""Every layout worth a look, and the first question to each: can it exist, and does it fit?

A layout that cannot keeps its reason. Called by `shardwright.planner.search`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shardwright.engines import Engine, find_engine
from shardwright.facts.gpus import gpu
from shardwright.model.layout import Layout, stages_of
from shardwright.model.plan import Basis, Rejected
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB
from shardwright.planner.fit import memory_question
from shardwright.planner.memory import MemoryAnswer, predict
from shardwright.planner.memory_question import MemoryQuestion

MOST_GPUS = 64
"""GPUs looked at where the spec does not say how many nodes there are."""
MOST_STAGES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """A layout of one replica that fits, and its memory."""

    layout: Layout
    memory: MemoryAnswer


def gpu_limit(request: Request) -> int:
    """GPUs that may be used at most."""
    nodes = request.cluster.nodes
    return nodes * request.cluster.gpus_per_node if nodes else MOST_GPUS


def layouts(request: Request, shape: ModelShape) -> Iterator[Layout]:
    """Yield the layouts of one replica, fewest GPUs first; what the user pins is kept.

    TP: divisors of a node and whole nodes doubled; PP: up to MOST_STAGES. For mixtures also EP
    over all ranks of a stage, and attention data parallelism: DP groups that split the requests
    and share the experts. Of a dense model DP groups share nothing, they are replicas.
    """
    pinned, node = request.parallelism, request.cluster.gpus_per_node
    limit = gpu_limit(request)
    wide = [t for t in range(1, node + 1) if node % t == 0 or t & (t - 1) == 0]
    while 2 * wide[-1] <= limit:
        wide.append(2 * wide[-1])
    deep = range(1, min(MOST_STAGES, shape.num_layers) + 1)
    found = [
        Layout(tensor_parallel=tp, pipeline_parallel=pp, data_parallel=dp, expert_parallel=ep)
        for tp in ([pinned.tensor] if pinned.tensor else wide)
        for pp in ([pinned.pipeline] if pinned.pipeline else deep)
        for dp in ([pinned.data] if pinned.data else _data_parallel(shape, tp, pp, limit))
        if tp * pp * dp <= limit
        for ep in ([pinned.expert] if pinned.expert else _expert_parallel(shape, tp * dp))
    ]
    yield from sorted(
        found,
        key=lambda x: (
            x.gpus_per_replica, x.pipeline_parallel, x.data_parallel, x.expert_parallel,
        ),
    )  # fmt: skip


def _data_parallel(shape: ModelShape, tp: int, pp: int, limit: int) -> list[int]:
    """Return data-parallel sizes to look at; with stages none, which no engine is tuned for."""
    if not shape.num_experts or pp > 1:
        return [1]
    return [1, *(d for d in (2, 4, 8, 16, 32, 64, 128) if tp * d <= limit)]


def _expert_parallel(shape: ModelShape, ranks: int) -> list[int]:
    return [1, ranks] if shape.num_experts and ranks > 1 else [1]


def examine(
    request: Request, shape: ModelShape, engine: Engine, max_model_len: int, basis: Basis
) -> tuple[list[Fitting], list[Rejected]]:
    """Sort layouts into those that fit and those that cannot run, each of these with its reason.

    shape: as held, quantized if the request says so.
    """
    fitting: list[Fitting] = []
    rejected: list[Rejected] = []
    ask = _Memory(request, shape, max_model_len)
    per_node = request.cluster.gpus_per_node
    for layout in layouts(request, shape):
        refusals = engine.refuse_layout(shape, layout)
        if refusals:
            code, reason = refusals[0].code, "; ".join(r.reason for r in refusals)
        elif uneven := _uneven(layout, per_node):
            code, reason = "ranks-not-even", uneven
        elif hopeless := ask.hopeless(layout):
            code, reason = "does-not-fit", hopeless
        else:
            answer = ask.answer(layout)
            if answer.fits:
                fitting.append(Fitting(layout=layout, memory=answer))
                continue
            code, reason = "does-not-fit", _short(answer)
        rejected.append(Rejected(layout=layout, code=code, reason=reason, basis=basis))
    return fitting, rejected


class _Memory:
    """The memory of many layouts of one request; what they share is worked out once."""

    def __init__(self, request: Request, shape: ModelShape, max_model_len: int) -> None:
        self.question = memory_question(request, shape, Layout(tensor_parallel=1), max_model_len)
        self.engine = find_engine(request.engine.name)
        self.known: dict[Layout, MemoryAnswer] = {}
        self.device = gpu(request.cluster.gpu)
        held = self.question.shape
        self.least_bytes = held.num_params * _least_bits(held) / 8

    def hopeless(self, layout: Layout) -> str | None:
        """Return what is missing where evenly cut weights alone exceed the whole GPU: the exact
        memory of such a layout is not worth working out.
        """
        least = self.least_bytes / layout.gpus_per_replica
        if least <= self.device.memory_bytes:
            return None
        return (
            f"the weights alone are {least / GIB:.1f} GiB per GPU, "
            f"{(least - self.device.memory_bytes) / GIB:.1f} GiB more than it has"
        )

    def answer(self, layout: Layout) -> MemoryAnswer:
        """Return a layout's memory; whole experts that divide evenly weigh what slices weigh."""
        shape = self.question.shape
        ep = layout.expert_parallel
        is_even = ep == layout.tensor_parallel * layout.data_parallel and not shape.num_experts % ep
        key = replace(layout, expert_parallel=1) if is_even else layout
        if key not in self.known:
            self.known[key] = predict(self._asked(layout))
        return self.known[key]

    def _asked(self, layout: Layout) -> MemoryQuestion:
        stages = stages_of(
            self.engine.split_layers(self.question.shape.num_layers, layout.pipeline_parallel)
        )
        return replace(self.question, layout=layout, stages=stages)


def _least_bits(shape: ModelShape) -> int:
    """Bits of the narrowest weights: parts of a quantized checkpoint are wider."""
    stored = shape.quantization
    if stored is None:
        return 16
    schemes = (stored.scheme, stored.routed_scheme or stored.scheme)
    return min(scheme.weight_bits for scheme in schemes)


def _uneven(layout: Layout, node: int) -> str | None:
    """Return why a layout cannot be laid over nodes, None if it can."""
    ranks = layout.gpus_per_replica
    if ranks <= node and node % ranks == 0:
        return None
    if (
        ranks > node
        and ranks % node == 0
        and (layout.tensor_parallel % node == 0 or node % layout.tensor_parallel == 0)
    ):
        return None
    return f"{ranks} ranks do not fill nodes of {node} GPUs evenly"


def _short(answer: MemoryAnswer) -> str:
    tight = answer.tightest
    if tight.kv_cache_bytes < 0:
        return (
            f"weights and runtime are {-tight.kv_cache_bytes / GIB:.1f} GiB per GPU over the "
            f"{tight.budget_bytes / GIB:.1f} GiB the engine may use"
        )
    return (
        f"the KV cache is {answer.shortfall_bytes / GIB:.1f} GiB per GPU short of one request of "
        "full length"
    )
