"""A scenario as AIPerf's configuration file. AIPerf sends the load; we only say which.

The API key is named, not written: AIPerf reads it from the environment. Checked against 0.13.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shardwright.bench.scenario import Scenario

VERSION = "0.13.0"
API_KEY_VARIABLE = "SHARDWRIGHT_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An OpenAI-compatible endpoint. tokenizer: a directory or a Hugging Face id."""

    url: str
    model: str
    tokenizer: str
    has_api_key: bool = False


def aiperf_config(scenario: Scenario, target: Target, artifacts: str) -> dict[str, Any]:
    """Write the configuration of `aiperf profile --config`; lengths are fixed by ignore_eos."""
    endpoint: dict[str, Any] = {
        "urls": [target.url],
        "type": "chat",
        "streaming": True,
        "extra": {"ignore_eos": True},
    }
    if target.has_api_key:
        endpoint["api_key"] = f"${{{API_KEY_VARIABLE}}}"
    prompts: dict[str, Any] = {
        "isl": {"mean": scenario.input_tokens - scenario.prefix_tokens, "stddev": 0},
        "osl": {"mean": scenario.output_tokens, "stddev": 0},
    }
    dataset: dict[str, Any] = {
        "name": "main",
        "type": "synthetic",
        "entries": scenario.num_requests,
        "random_seed": scenario.seed,
        "prompts": prompts,
    }
    if scenario.prefix_tokens:
        dataset["prefix_prompts"] = {"pool_size": 1, "length": scenario.prefix_tokens}
    return {
        "models": {"items": [{"name": target.model}]},
        "endpoint": endpoint,
        "datasets": [dataset],
        "phases": [
            _phase("warmup", scenario, scenario.num_warmup) | {"exclude_from_results": True},
            _phase("profiling", scenario, scenario.num_requests),
        ],
        "artifacts": {"dir": artifacts},
        "tokenizer": {"name": target.tokenizer},
        "gpu_telemetry": {"enabled": False},
        "server_metrics": {"enabled": True, "formats": ["json"]},
        "runtime": {"ui": "none"},
    }


def _phase(kind: str, scenario: Scenario, num_requests: int) -> dict[str, Any]:
    load: dict[str, Any] = {"type": "concurrency", "concurrency": scenario.concurrency}
    if scenario.concurrency is None:
        load = {"type": "poisson", "rate": scenario.requests_per_s}
    return {"name": kind, "kind": kind, "requests": num_requests, **load}
