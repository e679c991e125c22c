"""Memory of every rank, and the KV cache that is left: what an engine will log at start.

All engines cut weights alike (`shardwright.shape.split`), and differ in what they set aside
(`shardwright.planner.reserves`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from shardwright.model.errors import usage_error
from shardwright.model.layout import Layout, Stage
from shardwright.model.origin import Origin, weakest
from shardwright.model.plan import RankMemory
from shardwright.model.shape import ModelShape
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.planner.reserves import RULES, in_flight_tokens
from shardwright.shape.kvcache import KvLayout, kv_layout, kv_tokens
from shardwright.shape.split import ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAnswer:
    """Memory of the fullest rank of each stage, and the KV cache in tokens as the engine logs it.

    shortfall_bytes: what is missing on the worst rank for one request of max_model_len; 0 if it
    fits.
    """

    ranks: tuple[RankMemory, ...]
    kv_tokens: int
    shortfall_bytes: int
    origin: Origin

    @property
    def fits(self) -> bool:
        """Whether one request of the longest allowed length can be served."""
        return self.shortfall_bytes == 0 and self.kv_tokens > 0

    @property
    def tightest(self) -> RankMemory:
        """The rank with least KV cache."""
        return min(self.ranks, key=lambda r: r.kv_cache_bytes)


def predict(question: MemoryQuestion) -> MemoryAnswer:
    """Predict the memory of every stage's fullest rank and the KV cache in tokens."""
    try:
        rule = RULES[question.engine]
    except KeyError:
        raise usage_error(
            "unknown-engine", f"{question.engine!r} is no engine we have a memory rule for",
            remedy=f"use one of {', '.join(RULES)}",
        ) from None  # fmt: skip
    ranks = _per_stage(rule, question)
    kv = _kv_layout(
        question.shape, question.layout.tensor_parallel, question.stages,
        question.kv_cache_dtype, question.dtype,
    )  # fmt: skip
    max_len = question.max_model_len or question.shape.max_position_embeddings
    have = [rank.kv_cache_bytes for rank in ranks]
    tokens = kv_tokens(kv, have, max_model_len=max_len, in_flight_tokens=in_flight_tokens(question))
    return MemoryAnswer(
        ranks=ranks,
        kv_tokens=tokens,
        shortfall_bytes=_shortfall(kv.block_bytes, len(kv.groups), kv.block_tokens, have, max_len),
        origin=weakest(*(rank.origin for rank in ranks)),
    )


def _per_stage(
    rule: Callable[[MemoryQuestion, Stage], RankMemory], question: MemoryQuestion
) -> tuple[RankMemory, ...]:
    """Ask the rule once for stages of the same layers: inner ones differ by their number alone."""
    layers, known = question.shape.layers, dict[tuple[bool, bool, tuple[int, ...]], RankMemory]()
    out = []
    for stage in question.stages:
        held = layers[stage.first_layer : stage.first_layer + stage.num_layers]
        key = (
            stage.first_layer == 0,
            stage.last_layer == question.shape.num_layers - 1,
            tuple(id(layer.tensors) for layer in held),
        )
        if key not in known:
            known[key] = rule(question, stage)
        rank = known[key]
        out.append(rank if rank.stage == stage.index else replace(rank, stage=stage.index))
    return tuple(out)


def _shortfall(
    block_bytes: Sequence[int], num_groups: int, block_tokens: int, have: Sequence[int], length: int
) -> int:
    """Return what the worst stage lacks for one request of full length, windows not spared."""
    blocks = ceil_div(length, block_tokens) * max(num_groups, 1)
    return max(0, *(size * blocks - bytes_ for size, bytes_ in zip(block_bytes, have, strict=True)))


@lru_cache(maxsize=4096)
def _kv_layout(
    shape: ModelShape, tp: int, stages: tuple[Stage, ...], cache: str | None, dtype: str | None
) -> KvLayout:
    """The cache's groups, which neither GPU nor engine changes."""
    layout = Layout(tensor_parallel=tp)
    return kv_layout(shape, layout, stages, kv_cache_dtype=cache, dtype=dtype)
