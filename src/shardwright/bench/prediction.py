"""What the planner says of the same deployment at any load, beside what was measured there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardwright.bench.scenario import Scenario
from shardwright.facts.gpus import gpu
from shardwright.model.plan import Plan, Speed
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.planner.serving_speed import setup_for, simulated


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A planned deployment. speed_at is None where the planner knows nothing of it."""

    request: Request
    shape: ModelShape
    plan: Plan

    def asked(self, scenario: Scenario) -> Request | None:
        """The request with the scenario's load; None for a trace, whose load has no such words."""
        if scenario.trace:
            return None
        load = replace(
            self.request.workload,
            input_tokens=scenario.input_tokens,
            output_tokens=scenario.output_tokens,
            prefix_tokens=scenario.prefix_tokens,
            concurrency=scenario.concurrency,
            requests_per_s=scenario.requests_per_s,
        )
        return replace(self.request, workload=load)

    def speed_at(self, scenario: Scenario) -> Speed | None:
        """Predict the load of a scenario on the planned layout."""
        asked = self.asked(scenario)
        if asked is None or not self.plan.fits or self.plan.kv_tokens is None:
            return None
        if not gpu(self.request.cluster.gpu).bf16_flops:
            return None
        layout = self.plan.layout
        setup = setup_for(asked, self.shape, layout, self.plan.kv_tokens // layout.data_parallel)
        return simulated(asked, layout, setup)
