"""The planner as a library: plain arguments in, frozen values out. Re-exported, lazily, by
`shardwright`.
"""

from __future__ import annotations

from shardwright.planner.latency import Latency
from shardwright.planner.latency import predict as predict_point
from shardwright.planner.memory import MemoryAnswer, predict
from shardwright.planner.memory_rows import question_of
from shardwright.planner.point import point_of


def predict_memory(model: str, gpu: str, **columns: str | float) -> MemoryAnswer:
    """Predict memory per rank and the KV cache of one model on one kind of GPU.

    model: an id or the path of a config.json. columns: those of `shardwright predict memory`, such
    as tp, pp, dtype, quantization, gpu_memory_utilization, max_model_len, engine_version. Raises
    ShardwrightError for what cannot be predicted.

    >>> answer = predict_memory("meta-llama/Llama-3.1-70B", "H200", max_model_len=8192)
    >>> answer.fits, round(answer.ranks[0].weights_bytes / 2**30, 1)
    (False, 131.4)
    """
    row = {name: str(value) for name, value in columns.items()}
    return predict(question_of({**row, "model": model, "gpu": gpu}))


def predict_latency(model: str, gpu: str, **columns: str | float) -> Latency:
    """Predict TTFT, time per token and throughput of one deployment under one load.

    model: an id or the path of a config.json. columns: those of `shardwright predict latency`:
    isl, osl and concurrency (or request_rate) are needed, the engine is vLLM if not given. Times
    are in seconds. Raises ShardwrightError for what cannot be predicted.

    >>> found = predict_latency("meta-llama/Llama-3.1-8B", "H200", isl=1024, osl=256, concurrency=1)
    >>> 0.004 < found.tpot_s < 0.006
    True
    """
    row = {name: str(value) for name, value in columns.items()}
    return predict_point(point_of({"engine": "vllm", **row, "model": model, "gpu": gpu}))
