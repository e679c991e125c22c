"""From a request and a model's shape to a plan. The entry point of this room."""

from __future__ import annotations

from shardwright.engines import find_engine
from shardwright.facts.gpus import gpu
from shardwright.model.layout import stages_of
from shardwright.model.plan import Plan
from shardwright.model.request import Request, Workload
from shardwright.model.shape import ModelShape
from shardwright.plan.cost import cost_of
from shardwright.plan.fit import fit
from shardwright.plan.layouts import choose_layout, num_nodes_per_replica

LEAST_MODEL_LEN = 8192


def make_plan(request: Request, shape: ModelShape) -> Plan:
    """Decide the layout and what follows from it. Raises ShardwrightError on an impossible pin."""
    engine = find_engine(request.engine.name)
    layout = choose_layout(request, shape, engine)
    length = request.engine.max_model_len or default_max_model_len(
        request.workload, shape.max_position_embeddings
    )
    memory = fit(request, shape, layout, length)
    return Plan(
        layout=layout,
        stages=stages_of(engine.split_layers(shape.num_layers, layout.pipeline_parallel)),
        num_nodes=layout.replicas * num_nodes_per_replica(layout, request.cluster.gpus_per_node),
        max_model_len=length,
        fits=memory.fits,
        memory=memory.ranks,
        kv_tokens=memory.kv_tokens,
        cost=cost_of(gpu(request.cluster.gpu).id, layout.num_gpus),
        findings=shape.findings,
    )


def default_max_model_len(workload: Workload, max_position_embeddings: int) -> int:
    """Room for four times the asked request, at least 8192 tokens, at most the model's own limit.

    >>> default_max_model_len(Workload(input_tokens=4096, output_tokens=512), 131072)
    18432
    """
    asked = workload.input_tokens + workload.output_tokens
    return min(max(4 * asked, LEAST_MODEL_LEN), max_position_embeddings)
