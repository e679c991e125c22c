"""Memory no shape tells: runtime, graphs and sampler, per engine version; fitted from logs.

Data: facts/data/memory_overheads.json; benchmarks/fit_memory.py writes it from measured rows, and
the error tables in docs/accuracy-memory.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from shardwright.facts.table import DATA
from shardwright.planner.limits import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheads:
    """Figures of vLLM from one version on, GiB unless said otherwise.

    sampler_bytes_per_logit: profiled sampling of max_num_seqs rows of the vocabulary, 16-bit
    logits; 0 where the newer model runner samples without sorting. single_gib and group_gib: CUDA
    and library memory without and with tensor parallelism; staged_gib: pipeline stages alone.
    graph_base_gib + graph_layer_gib x layers: what graph capture takes at max_num_seqs 1024;
    graph_share: how much of that the engine takes out of the KV cache beforehand.
    """

    since: Version
    sampler_bytes_per_logit: float
    sampler_base_gib: float
    single_gib: float
    staged_gib: float
    group_gib: float
    graph_base_gib: float
    graph_layer_gib: float
    graph_share: float
    is_measured: bool


@cache
def table() -> tuple[Overheads, ...]:
    """Return the rows, oldest version first."""
    data = json.loads((DATA / "memory_overheads.json").read_text(encoding="utf-8"))
    return tuple(Overheads(**{**row, "since": tuple(row["since"])}) for row in data["vllm"])


def overheads(version: Version) -> Overheads:
    """Return the figures that hold for a version: the newest row that is not newer than it."""
    return next((row for row in reversed(table()) if row.since <= version), table()[0])
