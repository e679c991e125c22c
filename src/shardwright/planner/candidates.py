"""Every layout worth a look, and the first question to each: can it exist, and does it fit?

A layout that cannot keeps its reason. Called by `shardwright.planner.search`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shardwright.engines import Engine
from shardwright.facts.gpus import gpu
from shardwright.model.layout import Layout
from shardwright.model.plan import Rejected
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.model.units import GIB
from shardwright.planner.fit import fit
from shardwright.planner.memory import MemoryAnswer
from shardwright.shape.quantization import requantized

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

    TP: divisors of a node and whole nodes doubled; PP: up to MOST_STAGES; EP for mixtures: none, or
    as wide as TP.
    """
    pinned, node = request.parallelism, request.cluster.gpus_per_node
    limit = gpu_limit(request)
    wide = [t for t in range(1, node + 1) if node % t == 0 or t & (t - 1) == 0]
    while 2 * wide[-1] <= limit:
        wide.append(2 * wide[-1])
    deep = range(1, min(MOST_STAGES, shape.num_layers) + 1)
    found = []
    for tp in [pinned.tensor] if pinned.tensor else wide:
        for pp in [pinned.pipeline] if pinned.pipeline else deep:
            experts = [1, tp] if shape.num_experts and tp > 1 else [1]
            for ep in [pinned.expert] if pinned.expert else experts:
                layout = Layout(
                    tensor_parallel=tp,
                    pipeline_parallel=pp,
                    data_parallel=pinned.data or 1,
                    expert_parallel=ep,
                )
                if layout.gpus_per_replica <= limit:
                    found.append(layout)
    yield from sorted(
        found, key=lambda x: (x.gpus_per_replica, x.pipeline_parallel, x.expert_parallel)
    )


def examine(
    request: Request, shape: ModelShape, engine: Engine, max_model_len: int
) -> tuple[list[Fitting], list[Rejected]]:
    """Sort layouts into those that fit and those that cannot run, each of these with its reason.

    A layout that needs more GPUs of the same widths than one that fits is not asked again.
    """
    fitting: list[Fitting] = []
    rejected: list[Rejected] = []
    answers: dict[Layout, MemoryAnswer] = {}
    held = requantized(shape, request.engine.quantization or "none")
    for layout in layouts(request, shape):
        refusals = engine.refuse_layout(shape, layout)
        if refusals:
            reason = "; ".join(r.reason for r in refusals)
            rejected.append(Rejected(layout=layout, code=refusals[0].code, reason=reason))
            continue
        uneven = _uneven(layout, request.cluster.gpus_per_node)
        if uneven:
            rejected.append(Rejected(layout=layout, code="ranks-not-even", reason=uneven))
            continue
        hopeless = _hopeless(request, shape, layout)
        if hopeless:
            rejected.append(Rejected(layout=layout, code="does-not-fit", reason=hopeless))
            continue
        plain = replace(layout, expert_parallel=1)
        answer = answers.get(plain)
        if answer is None:
            answer = answers[plain] = fit(request, held, layout, max_model_len)
        if answer.fits:
            fitting.append(Fitting(layout=layout, memory=answer))
        else:
            rejected.append(Rejected(layout=layout, code="does-not-fit", reason=_short(answer)))
    return fitting, rejected


def _hopeless(request: Request, shape: ModelShape, layout: Layout) -> str | None:
    """Return what is missing where evenly cut weights alone exceed the whole GPU: the exact memory
    of such a layout is not worth working out.
    """
    device = gpu(request.cluster.gpu)
    asked = "" if request.engine.quantization is None else request.engine.quantization
    bits = 4.0 if asked else shape.quantization.scheme.weight_bits if shape.quantization else 16
    least = shape.num_params * bits / 8 / layout.gpus_per_replica
    if least <= device.memory_bytes:
        return None
    return (
        f"the weights alone are {least / GIB:.1f} GiB per GPU, "
        f"{(least - device.memory_bytes) / GIB:.1f} GiB more than it has"
    )


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
