"""How an engine's log tells how far each rank is, and what it took: patterns, read by deploy.

One value per engine whose log we can read; `shardwright.deploy` and `shardwright.verify` use it and
know no engine.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Patterns of log lines; those of one rank are tried on lines that a rank wrote.

    rank: a rank introduces itself, with groups `rank`, `pid`, `local` and, where named, `address`.
    role: any later line of a rank, with `pid`, `pipeline`, `tensor`. layers: with `rank`, `first`,
    `last`. progress: part of the weights read, with `percent`. weights: all are read, with `gib`
    and `seconds`. compiled, with `seconds`. graphs: with `seconds` and `gib`. kv_tokens: tokens
    that fit one replica, with `tokens`. started: the engine may serve. wanted: a cheap test that a
    line may match any of these, so that the others are tried on few.
    """

    rank: str
    role: str
    layers: str
    progress: str
    weights: str
    compiled: str
    graphs: str
    kv_tokens: str
    started: str
    wanted: str
