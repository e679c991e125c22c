"""The engine's scheduler, replayed: a closed loop of requests over a table of step times.

Steps in which nothing joins or leaves are summed in one go, so the work grows with requests and
not with tokens. Pipeline stages work on as many batches in turn, replayed as one round of all of
them: every stage hands on at the pace of the slowest batch, so a prompt in one batch holds up all.
`replay` is written in the subset of Python that numba compiles, with plain lists
and floats, so that scripts/calibrate can run the very same function some thousand times.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

MIXED = 0
"""Prefill joins decode in one step, prompts are cut to fit the token budget (vLLM)."""
PREFILL_FIRST = 1
"""Waiting prompts run alone while decode stands still (SGLang)."""
WHOLE_PROMPTS = 2
"""Prefill joins decode in one step, prompts are never cut (TensorRT-LLM without chunking)."""


Floats = Sequence[float]


def replay(  # noqa: C901  one loop, so that numba compiles it as it stands
    tokens: Floats,
    head: Floats,
    rates: Floats,
    loop: Floats,
    prompts: Floats,
    outputs: Floats,
    residue: Floats,
    due: Floats,
) -> tuple[list[float], list[float], list[float], list[float], list[float]]:
    """Run a closed loop to its end and return what each request saw.

    tokens, head: step times on the grid of `steptime.GRID`; rates: (kv_s, pair_s, seq_s, gap_s,
    prefill_floor_s, prefill_gap_s, lookahead); loop: (concurrency, policy, token budget, KV
    capacity in tokens or 0, steps between looks at the queue, client turnaround in s, steps that
    are already decided when a request arrives: 0 or 1, most sequences at once, requests that
    must have been admitted before gaps are counted, batches that take turns on pipeline stages).
    prompts, outputs: tokens per request, in order of submission; residue: output tokens that each
    of the first `concurrency` requests has already behind it (0: a burst of fresh requests).
    due: submission times of an open loop in s, one per request; length 1 for a closed loop.

    Returns (ttft, tpot, ends, gaps, weights): seconds to first token and mean seconds per later
    token of each request, when it ended, and seconds between tokens with the number of such gaps.
    """
    kv_s, pair_s, seq_s, gap_s, floor_s, prefill_gap_s, lookahead = rates
    concurrency = int(loop[0])
    policy = int(loop[1])
    budget = loop[2]
    capacity = loop[3]
    poll = int(loop[4])
    turnaround = loop[5]
    depth = int(loop[6])
    most = int(loop[7])
    settled = int(loop[8])
    batches = loop[9]
    num = len(prompts)
    top = len(tokens) - 1
    arrival = [0.0] * num
    ttft = [0.0] * num
    tpot = [0.0] * num
    ends = [0.0] * num
    first = [0.0] * num
    ahead = [0.0] * num
    submitted = min(concurrency, num)
    if len(due) == num:
        submitted = num
        for r in range(num):
            arrival[r] = due[r]
    gaps = [0.0]
    weights = [0.0]
    stall = 0.0
    admitted = 0
    part = 0.0
    ending = [(0.0, 0)]
    ending.pop()
    clock = 0.0
    decoded = 0.0
    running = 0
    cached = 0.0
    reserved = 0.0
    finished = 0
    steps = 0
    pure_s = 0.0
    before = 0.0
    # TensorRT-LLM admits a request only if its whole answer will fit, others as it grows
    held = 1.0 if policy == WHOLE_PROMPTS else 0.5
    claims = [prompts[r] + held * outputs[r] for r in range(num)]
    for r in range(min(concurrency, num)):
        claims[r] -= held * residue[r]
    while finished < num:
        known = clock
        if depth == 1 and running > 0:
            known = before
        waiting = admitted < submitted and arrival[admitted] <= known + 1e-12
        blocked = (
            waiting
            and capacity > 0
            and running > 0
            and part == 0.0
            and reserved + claims[admitted] > capacity
        )
        if running >= most and part == 0.0:
            blocked = True
        if waiting and not blocked and (poll <= 1 or running == 0 or steps % poll == 0):
            room = budget * batches
            if policy != PREFILL_FIRST:
                room = max(room - running, 1.0)
            start = admitted
            is_begun = part > 0
            taken = 0.0
            pairs = 0.0
            while admitted < submitted and arrival[admitted] <= known + 1e-12 and room > 0:
                rest = prompts[admitted] - part
                claim = claims[admitted]
                if running + admitted - start >= most and part == 0.0:
                    break
                others = running + admitted > start
                if capacity > 0 and others and part == 0.0 and reserved + claim > capacity:
                    break
                take = rest
                if rest > room:
                    if policy == WHOLE_PROMPTS:
                        if taken > 0:
                            break
                    else:
                        take = room
                pairs += take * (part + 0.5 * take)
                taken += take
                room -= take
                if take < rest:
                    part += take
                    break
                part = 0.0
                reserved += claim
                # an engine that stands still has decided on no step ahead
                ahead[admitted] = pure_s / batches if running > 0 else 0.0
                admitted += 1
            done = admitted - start
            touched = done + (1.0 if part > 0 else 0.0)
            # whole prompts are dealt out to the batches; the fullest sets the pace
            share = math.ceil(touched / batches) / max(touched, 1.0)
            share = max(min(share, budget / max(taken, 1.0)), 1.0 / batches)
            beside = running / batches
            batch = taken * share + (0.0 if policy == PREFILL_FIRST else beside)
            x = 4.0 * math.log2(max(batch, 1.0))
            i = min(int(x), top - 1)
            low = 2.0 ** (i * 0.25)
            step = tokens[i] + (tokens[i + 1] - tokens[i]) * (batch / low - 1.0) / 0.18920711500272
            out = done * share + (0.0 if policy == PREFILL_FIRST else beside)
            if out > 0:
                out = max(out, 1.0)
                x = 4.0 * math.log2(out)
                i = min(int(x), top - 1)
                low = 2.0 ** (i * 0.25)
                step += head[i] + (head[i + 1] - head[i]) * (out / low - 1.0) / 0.18920711500272
            step += pair_s * pairs * share
            if policy != PREFILL_FIRST:
                step += kv_s * cached / batches + seq_s * beside
                decoded += 1.0
                cached += running
            turn_s = (clock - before) * (1.0 - 1.0 / batches)
            before = clock
            step = max(step, floor_s) + prefill_gap_s
            clock += step
            steps += 1
            if policy == PREFILL_FIRST:
                stall += step
            elif running > 0 and start >= settled:
                gaps.append(step)
                weights.append(float(running))
            for r in range(start, admitted):
                # batches are scheduled one after the other, not all when the round begins
                sooner = min(max(before - arrival[r], 0.0), turn_s)
                if is_begun and r == start:
                    sooner = 0.0
                ttft[r] = clock - arrival[r] - sooner + lookahead * ahead[r]
                first[r] = clock
                left = outputs[r] - 1.0
                if r < concurrency:
                    left = max(left - residue[r], 1.0)
                heapq.heappush(ending, (decoded + left, r))
                cached += prompts[r] + 1.0
            running += done
        elif running > 0:
            turns = min(batches, float(running))
            batch = running / turns
            x = 4.0 * math.log2(batch)
            i = min(int(x), top - 1)
            f = (batch / 2.0 ** (i * 0.25) - 1.0) / 0.18920711500272
            step = tokens[i] + (tokens[i + 1] - tokens[i]) * f
            step += head[i] + (head[i + 1] - head[i]) * f
            step += kv_s * cached / turns + seq_s * batch + gap_s
            pure_s = step
            count = ending[0][0] - decoded
            if admitted < submitted and not blocked:
                until = arrival[admitted] - clock
                if until > 0:
                    count = min(count, max(math.ceil(until / step), 1.0) + depth)
                elif not waiting:
                    count = 1.0
                elif poll > 1:
                    count = min(count, float(poll - steps % poll))
            count = max(count, 1.0)
            before = clock + (count - 1.0) * step
            span = count * step + kv_s * batch * count * (count - 1.0) * 0.5
            clock += span
            if admitted >= settled:
                gaps.append(step + stall)
                weights.append(float(running))
            stall = 0.0
            if count > 1 and admitted >= settled:
                gaps.append(span / count)
                weights.append(running * (count - 1.0))
            decoded += count
            cached += running * count
            steps += int(count)
        else:
            clock = arrival[admitted]
            continue
        while len(ending) > 0 and ending[0][0] <= decoded + 1e-9:
            r = heapq.heappop(ending)[1]
            left = outputs[r] - 1.0
            if r < concurrency:
                left = max(left - residue[r], 1.0)
            tpot[r] = (clock - first[r]) / max(left, 1.0)
            ends[r] = clock
            cached -= prompts[r] + outputs[r] - (residue[r] if r < concurrency else 0.0)
            reserved -= claims[r]
            running -= 1
            finished += 1
            if submitted < num:
                arrival[submitted] = clock + turnaround
                submitted += 1
    return ttft, tpot, ends, gaps, weights
