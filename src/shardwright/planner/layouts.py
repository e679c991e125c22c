"""Which layout to run: the one the user pins, or the first rule of the trade.

Called by `planner/plan.py`. The rule: tensor parallelism within a node, where the links are
fast, and pipeline parallelism across nodes.
"""

from __future__ import annotations

from shardwright.engines import Engine
from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.layout import Layout
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape


def choose_layout(request: Request, shape: ModelShape, engine: Engine) -> Layout:
    """Complete what the user pinned. Raises ShardwrightError if a pinned layout cannot run."""
    pinned, cluster = request.parallelism, request.cluster
    tensor = pinned.tensor or _largest_tensor_parallel(cluster.gpus_per_node, shape, engine)
    data, replicas = pinned.data or 1, pinned.replicas or 1
    pipeline = pinned.pipeline
    if pipeline is None:
        whole_nodes = tensor >= cluster.gpus_per_node
        pipeline = max(1, (cluster.nodes or 1) // data // replicas) if whole_nodes else 1
    layout = Layout(
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        data_parallel=data,
        expert_parallel=pinned.expert or 1,
        replicas=replicas,
    )
    _refuse(layout, request, shape, engine)
    return layout


def num_nodes_per_replica(layout: Layout, gpus_per_node: int) -> int:
    """Nodes one replica occupies, whole stages to a node where they fit.

    >>> num_nodes_per_replica(Layout(tensor_parallel=8, pipeline_parallel=2), 8)
    2
    """
    return -(-layout.gpus_per_replica // gpus_per_node)


def num_nodes(layout: Layout, gpus_per_node: int) -> int:
    """Nodes all replicas occupy; small ones share a node.

    >>> num_nodes(Layout(tensor_parallel=2, replicas=5), 8)
    2
    >>> num_nodes(Layout(tensor_parallel=8, pipeline_parallel=2, replicas=2), 8)
    4
    """
    on_one = gpus_per_node // layout.gpus_per_replica
    if on_one:
        return -(-layout.replicas // on_one)
    return layout.replicas * num_nodes_per_replica(layout, gpus_per_node)


def _largest_tensor_parallel(limit: int, shape: ModelShape, engine: Engine) -> int:
    for tensor in range(limit, 0, -1):
        layout = Layout(tensor_parallel=tensor)
        if limit % tensor == 0 and not engine.refuse_layout(shape, layout):
            return tensor
    return 1


def _refuse(layout: Layout, request: Request, shape: ModelShape, engine: Engine) -> None:
    refusals = engine.refuse_layout(shape, layout)
    if refusals:
        possible = [
            t for t in range(1, 65) if not engine.refuse_layout(shape, Layout(tensor_parallel=t))
        ]
        raise ShardwrightError(
            code=refusals[0].code,
            what=f"{request.model.id} cannot run as {layout} on {engine.name}",
            cause="; ".join(r.reason for r in refusals),
            remedy="set spec.parallelism.tensor to one of: " + ", ".join(map(str, possible)),
            exit_code=ExitCode.USAGE,
        )
    cluster = request.cluster
    nodes = num_nodes(layout, cluster.gpus_per_node)
    if cluster.nodes is not None and nodes > cluster.nodes:
        raise ShardwrightError(
            code="not-enough-nodes",
            what=f"{layout} needs {nodes} nodes of {cluster.gpus_per_node} GPUs, "
            f"the cluster has {cluster.nodes}",
            remedy=f"set spec.cluster.nodes to {nodes}, or lower the parallelism",
            exit_code=ExitCode.USAGE,
        )
    if layout.gpus_per_replica > cluster.gpus_per_node and (
        layout.gpus_per_replica % cluster.gpus_per_node
    ):
        raise ShardwrightError(
            code="ranks-not-even",
            what=f"{layout} is {layout.gpus_per_replica} ranks, which do not fill nodes of "
            f"{cluster.gpus_per_node} GPUs evenly",
            remedy="choose TP x PP as a multiple of spec.cluster.gpusPerNode",
            exit_code=ExitCode.USAGE,
        )
