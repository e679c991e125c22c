"""The speed model in closed form: what a search evaluates by the thousand, and what says whether
an arrival rate can be served at all. Vectorised; the replay is what a chosen layout is shown with.

At n sequences in steady state a step decodes n tokens and, on average, prefills n / OSL prompts:

    prefill(ISL) = tokens(B) x ISL / B + pair_s x ISL^2 / 2        B: the token budget
    step(n)      = tokens(n) + head(n) + kv_s x n x (ISL + OSL / 2) + seq_s x n + gap_s
    TPOT(n)      = step(n) + held(n / OSL, PP) x prefill
    TTFT(n)      = prefill + TPOT(n) / 2 + the wait for prompts that arrive together
    requests/s   = n / (TTFT + (OSL - 1) x TPOT)
    held(x, PP)  = x + (PP - 1) / (2 PP) x (1 - exp(-2 PP x))

With pipeline stages n is one batch's, and a prompt in any of the PP batches in turn holds up
the whole round: `held` approximates the mean of ceil(K / PP), K prompts in a round, Poisson about
PP x. Few prompts then cost each batch all PP of them, many are shared out evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shardwright.planner.steptime import GRID, StepTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Steady-state means: seconds, and requests per second; arrays of one shape.

    prefill_share: part of the engine's time that goes into prompts.
    """

    ttft_s: Floats
    tpot_s: Floats
    requests_per_s: Floats
    prefill_share: Floats


def estimate(
    table: StepTable,
    sequences: ArrayLike,
    isl: float,
    osl: float,
    budget: float,
    stages: int = 1,
) -> Estimate:
    """Estimate latency and throughput at some numbers of concurrent sequences.

    A closed loop's prompts meet: with utilisation u of the step by prefill, a prompt waits on
    average for u / (2 (1 - u)) others, at most for all of them.
    """
    n = np.atleast_1d(np.asarray(sequences, dtype=np.float64))
    prefill = prefill_s(table, isl, budget)
    decode = decode_step_s(table, n, isl + osl / 2)
    in_prompts = held_up(n / osl, stages) * prefill
    tpot = decode + in_prompts
    busy = np.minimum(in_prompts / tpot, 0.98)
    waiting = np.minimum(busy / (2 * (1 - busy)), (n - 1) / 2)
    ttft = prefill * (1 + waiting) + decode / 2
    return Estimate(
        ttft_s=ttft,
        tpot_s=tpot,
        requests_per_s=n / (ttft + np.maximum(osl - 1, 0) * tpot),
        prefill_share=busy,
    )


def held_up(prompts: Floats, stages: int) -> Floats:
    """Prompts that a batch waits for in a round with so many of its own on average.

    >>> float(held_up(np.array([0.25]), 1)[0])
    0.25
    """
    shared = (stages - 1) / (2 * stages) * (1 - np.exp(-2 * stages * prompts))
    return np.asarray(prompts + shared, dtype=np.float64)


def prefill_s(table: StepTable, isl: float, budget: float) -> float:
    """Seconds of engine time that one prompt takes when prompts share steps of the budget."""
    batch = max(min(budget, 8 * isl), 1.0)
    per_token = max(float(np.interp(batch, GRID, table.tokens)), table.prefill_floor_s) / batch
    alone = max(float(np.interp(isl, GRID, table.tokens)), table.prefill_floor_s)
    shared = max(per_token * isl, 0.5 * min(alone, table.prefill_floor_s))
    return shared + table.pair_s * isl * isl / 2 + table.prefill_gap_s * isl / batch


def decode_step_s(table: StepTable, sequences: Floats, context: float) -> Floats:
    """Seconds of a step that decodes one token for each sequence."""
    work = np.interp(sequences, GRID, table.tokens) + np.interp(sequences, GRID, table.head)
    each = table.kv_s * context + table.seq_s
    return np.asarray(work + each * sequences + table.gap_s, dtype=np.float64)


def max_requests_per_s(
    table: StepTable, isl: float, osl: float, budget: float, sequences: int, stages: int = 1
) -> float:
    """Requests per second that one batch can sustain with at most so many sequences at once.

    Each request takes its prefill and its share of OSL decode steps; more sequences share better.
    """
    n = np.array([float(max(sequences, 1))])
    step = float(decode_step_s(table, n, isl + osl / 2)[0])
    waits = float(held_up(n / osl, stages)[0]) * prefill_s(table, isl, budget)
    return float(n[0]) / osl / (waits + step)
