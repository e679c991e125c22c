"""A load tool that answers as a server whose speed is known, and the load of it."""

import json
from dataclasses import dataclass, field

from shardwright.bench.aiperf import Target
from shardwright.bench.run import Method, ResultFiles
from shardwright.bench.scenario import Scenario
from shardwright.model.request import Slo
from shardwright.verify.verdict import judge

TARGET = Target(url="http://127.0.0.1:1", model="m", tokenizer="/t")
SLO = Slo(itl_s=0.050)


@dataclass
class KnownServer:
    """Each request's tokens come 2 ms apart per request in flight: 25 at once are 50 ms."""

    asked: list = field(default_factory=list)

    def run(self, scenario, target, name):
        self.asked.append(scenario.concurrency)
        gap = 2.0 * scenario.concurrency
        lines = []
        for i in range(scenario.num_requests):
            metrics = {
                "request_latency": {"value": 100 + 9 * gap},
                "time_to_first_token": {"value": 100},
                "inter_token_latency": {"value": gap},
                "output_sequence_length": {"value": 10},
                "input_sequence_length": {"value": 8},
            }
            meta = {"benchmark_phase": "profiling", "request_start_ns": i}
            lines.append(json.dumps({"metadata": meta, "metrics": metrics}))
        block = {"unit": "ms", "avg": gap, "p50": gap, "p95": gap, "count": scenario.num_requests}
        first = block | {"avg": 100, "p50": 100, "p95": 100}
        summary = {
            "aiperf_version": "t",
            "request_latency": first | {"avg": 100 + 9 * gap},
            "request_count": {"unit": "requests", "avg": scenario.num_requests},
            "time_to_first_token": first,
            "inter_token_latency": block,
            "total_osl": {"unit": "tokens", "avg": 10 * scenario.num_requests},
            "benchmark_duration": {"unit": "sec", "avg": 10.0},
            "input_config": {
                "phases": [{"kind": "profiling", "concurrency": scenario.concurrency}]
            },
        }
        return ResultFiles(
            folder=name, summary=json.dumps(summary), records="\n".join(lines), server_metrics=None
        )


BY_SLO = Method(judge=lambda scenario, runs: judge(runs, SLO))


def scenario(concurrency=8):
    return Scenario(
        concurrency=concurrency, requests_per_s=None, input_tokens=8, output_tokens=10,
        prefix_tokens=0, num_requests=60, num_warmup=1,
    )  # fmt: skip
