"""A scenario as the command line of `vllm bench serve`, which every vLLM image has.

For clusters that cannot pull a load tool. Source: vllm/benchmarks/serve.py of 0.32.0.
"""

from __future__ import annotations

import json
from itertools import count
from math import ceil, sqrt

from shardwright.bench.aiperf import Target
from shardwright.bench.scenario import Scenario
from shardwright.model.errors import usage_error

RESULT = "vllm-bench.json"
API_KEY_VARIABLE = "OPENAI_API_KEY"
BLOCK_TOKENS = 512
"""Tokens of a block of a Mooncake trace. Source: github.com/kvcache-ai/Mooncake, FAST25-release."""
OWN_BLOCKS = 10**9
"""First of the block numbers we give; published traces count from 0 to some hundred thousand."""


def vllm_bench_argv(scenario: Scenario, target: Target, folder: str) -> list[str]:
    """Write the command; lengths vary uniformly there, over a range of the same deviation."""
    # a trace's prompts are token ids, which only completions take
    kind = (
        ("openai", "/v1/completions") if scenario.trace else ("openai-chat", "/v1/chat/completions")
    )
    argv = [
        "vllm", "bench", "serve", "--backend", kind[0], "--endpoint", kind[1],
        "--base-url", target.url, "--model", target.model, "--served-model-name", target.model,
        "--tokenizer", target.tokenizer, "--seed", str(scenario.seed), "--ignore-eos",
        "--num-prompts", str(scenario.num_requests), "--num-warmups", str(scenario.num_warmup),
        "--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,95,99",
        "--save-result", "--save-detailed", "--result-dir", folder, "--result-filename", RESULT,
    ]  # fmt: skip
    if scenario.trace:
        argv += ["--dataset-name", "timed_trace", "--dataset-path", scenario.trace]
        argv += ["--timed-trace-sec-multiplier", "0.001", "--self-timed"]
        return [*argv, "--timed-trace-chunk-hash-size", str(BLOCK_TOKENS)]
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


def with_blocks(trace: str) -> str:
    """Give every entry of a trace the blocks its prompt is made of, where it names none.

    Without them `vllm bench serve` sends an empty prompt. Blocks of our own are shared with nobody.

    >>> with_blocks('{"input_length": 600, "output_length": 8}')
    '{"input_length": 600, "output_length": 8, "hash_ids": [1000000000, 1000000001]}'
    """
    fresh = count(OWN_BLOCKS)
    lines = []
    for number, line in enumerate(filter(str.strip, trace.splitlines()), 1):
        entry = json.loads(line)
        if "input_length" not in entry or "output_length" not in entry:
            raise usage_error(
                "trace-without-lengths",
                f"entry {number} of the trace has no lengths, which `vllm bench serve` needs",
                remedy="write input_length and output_length, or use AIPerf (--tool aiperf)",
            )
        if not entry.get("hash_ids"):
            needed = ceil(entry["input_length"] / BLOCK_TOKENS)
            entry["hash_ids"] = [next(fresh) for _ in range(needed)]
        lines.append(json.dumps(entry))
    return "\n".join(lines)


def _range_ratio(scenario: Scenario) -> float:
    """Half the width of a uniform range over its mean: sqrt(3) deviations."""
    ratios = (
        scenario.input_stddev / scenario.input_tokens,
        scenario.output_stddev / scenario.output_tokens,
    )
    return min(0.99, sqrt(3) * max(ratios))
