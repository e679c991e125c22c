"""Whether a layout fits: a request's memory question, and the least layout that answers it."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.engines import Engine, find_engine
from shardwright.facts.gpus import gpu
from shardwright.model.layout import Layout, stages_of
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.planner.memory import MemoryAnswer, predict
from shardwright.planner.memory_question import MemoryQuestion
from shardwright.shape.quantization import requantized

MOST_STAGES = 16
"""Pipeline stages looked at when the number of nodes is left open."""


RUNTIMES = {"tensorrt-llm": "trtllm", "triton": "trtllm", "triton-engines": "trtllm"}
"""What predictions call the runtime of an engine; Triton serves models by TensorRT-LLM."""


def memory_question(
    request: Request, shape: ModelShape, layout: Layout, max_model_len: int
) -> MemoryQuestion:
    """Return what a request asks of memory in one layout.

    A quantization the user asks of an unquantized checkpoint is counted; a KV-cache dtype the
    checkpoint asks for holds unless the user names another.
    """
    asked = request.engine
    held = requantized(shape, asked.quantization or "none")
    published = held.quantization.kv_cache_dtype if held.quantization else None
    engine = find_engine(asked.name)
    return MemoryQuestion(
        shape=held,
        layout=layout,
        stages=stages_of(engine.split_layers(shape.num_layers, layout.pipeline_parallel)),
        gpu=gpu(request.cluster.gpu),
        engine=RUNTIMES.get(asked.name, asked.name),
        version=asked.version or engine.default_version,
        utilization=asked.gpu_memory_utilization,
        max_model_len=max_model_len,
        kv_cache_dtype=asked.kv_cache_dtype or published,
        dtype=asked.dtype if asked.dtype not in (None, "auto") else None,
        max_num_batched_tokens=asked.max_num_batched_tokens,
        max_num_seqs=asked.max_num_seqs,
    )


def fit(request: Request, shape: ModelShape, layout: Layout, max_model_len: int) -> MemoryAnswer:
    """Predict the memory of a request in one layout."""
    return predict(memory_question(request, shape, layout, max_model_len))


def layouts_by_size(request: Request, shape: ModelShape, engine: Engine) -> Iterator[Layout]:
    """Yield layouts the engine can run, fewest GPUs first, wide before deep.

    Tensor parallelism stays within a node; stages fill whole nodes.
    """
    per_node = request.cluster.gpus_per_node
    most = request.cluster.nodes or MOST_STAGES
    found = [
        Layout(tensor_parallel=tp, pipeline_parallel=pp)
        for tp in range(1, per_node + 1)
        if per_node % tp == 0
        for pp in range(1, min(most * per_node // tp, MOST_STAGES, shape.num_layers) + 1)
        if tp == per_node or per_node % (tp * pp) == 0
    ]
    for layout in sorted(found, key=lambda x: (x.gpus_per_replica, x.pipeline_parallel)):
        if not engine.refuse_layout(shape, layout):
            yield layout


def least_layout(
    request: Request, shape: ModelShape, max_model_len: int
) -> tuple[Layout, MemoryAnswer] | None:
    """Return the layout of fewest GPUs that serves one request of full length, or None."""
    engine = find_engine(request.engine.name)
    shape = requantized(shape, request.engine.quantization or "none")  # once, not per layout
    for layout in layouts_by_size(request, shape, engine):
        answer = fit(request, shape, layout, max_model_len)
        if answer.fits:
            return layout, answer
    return None
