"""A scenario as the command line of `vllm bench serve`, which every vLLM image has.

For clusters that cannot pull a load tool. Source: vllm/benchmarks/serve.py of 0.32.0.
"""

from __future__ import annotations

from math import sqrt

from shardwright.bench.aiperf import Target
from shardwright.bench.scenario import Scenario

RESULT = "vllm-bench.json"
API_KEY_VARIABLE = "OPENAI_API_KEY"


def vllm_bench_argv(scenario: Scenario, target: Target, folder: str) -> list[str]:
    """Write the command; lengths vary uniformly there, over a range of the same deviation."""
    argv = [
        "vllm", "bench", "serve", "--backend", "openai-chat", "--endpoint", "/v1/chat/completions",
        "--base-url", target.url, "--model", target.model, "--served-model-name", target.model,
        "--tokenizer", target.tokenizer, "--seed", str(scenario.seed), "--ignore-eos",
        "--num-prompts", str(scenario.num_requests), "--num-warmups", str(scenario.num_warmup),
        "--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,95,99",
        "--save-result", "--save-detailed", "--result-dir", folder, "--result-filename", RESULT,
        "--disable-tqdm",
    ]  # fmt: skip
    if scenario.trace:
        argv += ["--dataset-name", "timed_trace", "--dataset-path", scenario.trace]
        return [*argv, "--timed-trace-sec-multiplier", "0.001", "--self-timed"]
    argv += ["--dataset-name", "random"]
    argv += ["--random-input-len", str(scenario.input_tokens - scenario.prefix_tokens)]
    argv += ["--random-prefix-len", str(scenario.prefix_tokens)]
    argv += ["--random-output-len", str(scenario.output_tokens)]
    spread = _range_ratio(scenario)
    if spread:
        argv += ["--random-range-ratio", f"{spread:.3f}"]
    if scenario.concurrency is not None:
        return [*argv, "--max-concurrency", str(scenario.concurrency)]
    return [*argv, "--request-rate", f"{scenario.requests_per_s:g}", "--burstiness", "1"]


def _range_ratio(scenario: Scenario) -> float:
    """Half the width of a uniform range over its mean: sqrt(3) deviations."""
    ratios = (
        scenario.input_stddev / scenario.input_tokens,
        scenario.output_stddev / scenario.output_tokens,
    )
    return min(0.99, sqrt(3) * max(ratios))
