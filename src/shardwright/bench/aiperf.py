"""A scenario as AIPerf's configuration file. AIPerf sends the load; we only say which.

The API key is named, not written: AIPerf reads it from the environment. Checked against 0.13.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shardwright.bench.scenario import Scenario

VERSION = "0.13.0"
API_KEY_VARIABLE = "SHARDWRIGHT_API_KEY"

SUMMARY = "profile_export_aiperf.json"
RECORDS = "profile_export.jsonl"
SERVER_METRICS = "server_metrics_export.json"
SERVER_SERIES = "server_metrics_export.jsonl"
GPU_SERIES = "gpu_telemetry_export.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An OpenAI-compatible endpoint. tokenizer: a directory or a Hugging Face id.

    dcgm_url: where a DCGM exporter serves its metrics; None: no GPU telemetry.
    """

    url: str
    model: str
    tokenizer: str
    has_api_key: bool = False
    dcgm_url: str | None = None


def aiperf_config(scenario: Scenario, target: Target, artifacts: str) -> dict[str, Any]:
    """Write the configuration of `aiperf profile --config`; ignore_eos makes lengths as asked."""
    endpoint: dict[str, Any] = {
        "urls": [target.url],
        "type": "chat",
        "streaming": True,
        "extra": {"ignore_eos": True},
    }
    if target.has_api_key:
        endpoint["api_key"] = f"${{{API_KEY_VARIABLE}}}"
    telemetry: dict[str, Any] = {"enabled": target.dcgm_url is not None}
    if target.dcgm_url is not None:
        telemetry["urls"] = [target.dcgm_url]
    benchmark: dict[str, Any] = {
        "models": {"items": [{"name": target.model}]},
        "endpoint": endpoint,
        "datasets": [_dataset(scenario)],
        "phases": _phases(scenario),
        "artifacts": {"dir": artifacts},
        "tokenizer": {"name": target.tokenizer},
        "gpu_telemetry": telemetry,
        "server_metrics": {"enabled": True, "formats": ["json", "jsonl"]},
        "runtime": {"ui": "none"},
    }
    return {"benchmark": benchmark}


def _dataset(scenario: Scenario) -> dict[str, Any]:
    if scenario.trace:
        return {
            "name": "main",
            "type": "file",
            "path": scenario.trace,
            "format": "mooncake_trace",
            "entries": scenario.num_requests,
            "random_seed": scenario.seed,
        }
    dataset: dict[str, Any] = {
        "name": "main",
        "type": "synthetic",
        "entries": scenario.num_requests,
        "random_seed": scenario.seed,
        "prompts": {
            "isl": {
                "mean": scenario.input_tokens - scenario.prefix_tokens,
                "stddev": scenario.input_stddev,
            },
            "osl": {"mean": scenario.output_tokens, "stddev": scenario.output_stddev},
        },
    }
    if scenario.prefix_tokens:
        dataset["prefix_prompts"] = {
            "pool_size": scenario.num_prefixes,
            "length": scenario.prefix_tokens,
        }
    return dataset


def _phases(scenario: Scenario) -> list[dict[str, Any]]:
    if scenario.trace:
        return [{"name": "profiling", "kind": "profiling", "type": "fixed_schedule"}]
    load: dict[str, Any] = {"type": "concurrency", "concurrency": scenario.concurrency}
    if scenario.concurrency is None:
        load = {"type": "poisson", "rate": scenario.requests_per_s}
    counts = (("warmup", scenario.num_warmup), ("profiling", scenario.num_requests))
    phases = [{"name": k, "kind": k, "requests": n, **load} for k, n in counts if n]
    return [p | {"exclude_from_results": True} if p["kind"] == "warmup" else p for p in phases]
