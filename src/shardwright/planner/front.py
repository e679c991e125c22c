"""The Pareto front of layouts and loads: tokens/s per GPU against tokens/s per user."""

from __future__ import annotations

from collections.abc import Iterable

from shardwright.model.plan import Alternative


def pareto(points: Iterable[Alternative]) -> tuple[Alternative, ...]:
    """Return the points that no other beats in both, fastest for a user first."""
    ordered = sorted(
        points, key=lambda a: (-a.output_tokens_per_s_per_user, -a.output_tokens_per_s_per_gpu)
    )
    front: list[Alternative] = []
    for a in ordered:
        if not front or a.output_tokens_per_s_per_gpu > front[-1].output_tokens_per_s_per_gpu:
            front.append(a)
    return tuple(front)
