"""How each engine picks what runs next, and how published campaigns had set it up. Data:
schedulers.json, with a source for each entry.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from shardwright.planner import simulate
from shardwright.planner.point import FIRST_BURST, Point

_POLICIES = {
    "mixed": simulate.MIXED,
    "prefill-first": simulate.PREFILL_FIRST,
    "whole-prompts": simulate.WHOLE_PROMPTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """What `simulate.replay` has to know of an engine. token_budget: tokens per step;
    depth: steps already decided when a request arrives; poll_steps: steps between looks at the
    queue; requests_per_slot: requests of a measured run, per unit of concurrency; run_requests: all
    requests of an offline run of equal lengths, 0: it goes on. has_fixed_lengths: every request of
    a measured run has the mean lengths. limits_each_stage: max_num_seqs holds for each of the
    batches that take turns on pipeline stages, not for their sum.
    """

    policy: int
    depth: int
    token_budget: int
    max_num_seqs: int
    poll_steps: int = 1
    requests_per_slot: int = 10
    has_fixed_lengths: bool = False
    limits_each_stage: bool = False
    run_requests: int = 0


def scheduling_of(point: Point, engine: str, gpu_id: str, architecture: str) -> Scheduling:
    """Return the engine's defaults, what a published campaign had changed where the point is a run
    of one (a first burst without a budget of its own), and what the point itself says.
    """
    data = _data()
    base = data["engines"][engine]
    found = Scheduling(
        policy=_POLICIES[base["policy"]],
        depth=base["depth"],
        token_budget=base["token_budget"],
        max_num_seqs=base["max_num_seqs"],
        limits_each_stage=base.get("limits_each_stage", False),
    )
    if point.concurrency is None and not point.request_rate:
        budget = base.get("offline_token_budget", found.token_budget)
        found = replace(found, token_budget=budget, run_requests=_offline_run(point, engine))
    if point.window == FIRST_BURST and point.concurrency is not None:
        facts = {"engine": engine, "gpu": gpu_id, "architecture": architecture}
        for campaign in data["campaigns"]:
            if _matches(campaign["where"], point, facts):
                found = replace(found, **_settings(campaign["sets"], point))
    if point.max_num_batched_tokens:
        found = replace(found, token_budget=point.max_num_batched_tokens)
    if point.max_num_seqs:
        found = replace(found, max_num_seqs=point.max_num_seqs)
    return found


def era_of(engine: str, version: str | None, window: str) -> str:
    """Return the tag under which an engine version was calibrated.

    vLLM before 0.12 had synchronous scheduling and fewer fused kernels. Published runs that name no
    version are of late 2025, before it.

    >>> era_of("vllm", "0.11.2", "steady"), era_of("vllm", "0.19.0", "steady")
    ('vllm-old', 'vllm-new')
    """
    if engine != "vllm":
        return engine
    parts = re.match(r"v?(\d+)\.(\d+)", version or "")
    if parts is None:
        return "vllm-old" if window == FIRST_BURST and version is None else "vllm-new"
    return "vllm-new" if (int(parts[1]), int(parts[2])) >= (0, 12) else "vllm-old"


def tuned(sched: Scheduling, point: Point, fit: float) -> Scheduling:
    """Return the limits trtllm-bench sets for an offline run, whose KV cache holds `fit` requests:
    a batch per pipeline stage of what fits, rounded up, and tokens for the prompts that come with
    as many answers.
    """
    run = _data()["offline_runs"]
    batch = min(fit, run["most_requests"]) / point.pipeline_parallel
    tokens = min(batch * (1 + point.isl / point.osl), run["most_tokens"])
    grain = 32 if batch < 256 else 128 if batch < 1024 else 256
    coarse = 256 if tokens < 4096 else 512 if tokens < 8192 else 1024
    return replace(
        sched,
        max_num_seqs=point.max_num_seqs or max(64, grain * math.ceil(batch / grain)),
        token_budget=point.max_num_batched_tokens or max(2048, coarse * math.ceil(tokens / coarse)),
    )


def _offline_run(point: Point, engine: str) -> int:
    """Return how many requests a published offline run of these lengths had; 0 for none known."""
    run = _data()["offline_runs"]
    if engine != run["engine"] or point.window != FIRST_BURST:
        return 0
    return int(run["requests"].get(f"{point.isl}/{point.osl}", 0))


@cache
def _data() -> Any:
    text = (resources.files("shardwright.planner") / "schedulers.json").read_text(encoding="utf-8")
    return json.loads(text)


def _matches(where: Mapping[str, Any], point: Point, facts: Mapping[str, str]) -> bool:
    for key, wanted in where.items():
        if key == "model_contains":
            if not any(part in point.model.lower() for part in wanted):
                return False
        elif key == "min_concurrency":
            if (point.concurrency or 0) < wanted:
                return False
        else:
            value = facts.get(key, getattr(point, key, None))
            if value not in (wanted if isinstance(wanted, list) else [wanted]):
                return False
    return True


def _settings(sets: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """Return the settings of a campaign; a budget may be given per prompt: `isl + concurrency`."""
    out = dict(sets)
    extra = out.pop("token_budget_over_prompt", None)
    if extra is not None:
        budget = point.isl + (point.concurrency or 0) + extra
        out["token_budget"] = max(budget, out.get("token_budget", 0))
    return out
