"""The Pareto front of layouts and loads: tokens/s per GPU against tokens/s per user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shardwright.model.layout import Layout
from shardwright.model.plan import Alternative, Basis
from shardwright.planner.analytic import Floats
from shardwright.planner.serving_speed import Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """A layout on its basis, at every load."""

    basis: Basis
    layout: Layout
    curve: Curve


def unbeaten(per_user: Floats, per_gpu: Floats) -> list[int]:
    """Return the points that no other beats in both, fastest for a user first.

    >>> unbeaten(np.array([1.0, 3.0, 2.0, 1.5]), np.array([9.0, 1.0, 5.0, 4.0]))
    [1, 2, 0]
    """
    order = np.lexsort((-per_gpu, -per_user))
    ranked = per_gpu[order]
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(ranked)[:-1]))
    return [int(i) for i in order[ranked > best_before]]


def pareto(loads: Sequence[Loads]) -> tuple[Alternative, ...]:
    """Return the front over all layouts and loads."""
    if not loads:
        return ()
    sizes = [len(x.curve.itl_s) for x in loads]
    owner = np.repeat(np.arange(len(loads)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    per_user = 1 / np.concatenate([x.curve.itl_s for x in loads])
    per_gpu = np.concatenate([x.curve.output_tokens_per_s / x.layout.num_gpus for x in loads])
    out = []
    for i in unbeaten(per_user, per_gpu):
        at = loads[owner[i]]
        load = at.curve.at(int(place[i]))
        out.append(
            Alternative(
                basis=at.basis,
                layout=at.layout,
                concurrency=load.concurrency,
                output_tokens_per_s_per_gpu=float(per_gpu[i]),
                output_tokens_per_s_per_user=float(per_user[i]),
                ttft_s=load.ttft_s,
            )
        )
    return tuple(out)
