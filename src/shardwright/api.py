"""The planner as a library: plain arguments in, frozen values out. Re-exported, lazily, by
`shardwright`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shardwright.model.plan import Plan
from shardwright.model.request import Request
from shardwright.model.shape import ModelShape
from shardwright.planner.bases import Allowed
from shardwright.planner.latency import Latency
from shardwright.planner.latency import predict as predict_point
from shardwright.planner.memory import MemoryAnswer, predict
from shardwright.planner.memory_rows import question_of
from shardwright.planner.objective import Objective
from shardwright.planner.plan import Question, choose
from shardwright.planner.point import point_of
from shardwright.planner.prices import Prices


def plan(
    spec: str | os.PathLike[str] | Mapping[str, Any] | Request,
    *,
    gpus: Sequence[str] = (),
    engines: Sequence[str] = (),
    quantizations: Sequence[str] = (),
    objective: str = "cost",
    usd_per_gpu_hour: float | Mapping[str, float] | None = None,
) -> Plan:
    """Decide how a model is laid out over GPUs, and why not otherwise.

    spec: the path of a spec file, the same document as a mapping (`spec` and `metadata`, or the
    inside of `spec` alone), or a Request. gpus, engines, quantizations: what may be chosen from
    instead of the spec's own. objective: cost, or throughput, which chooses the load too.
    usd_per_gpu_hour: your own price, of every GPU or by GPU. Only configs that ship with the
    package or lie on disk are read, nothing is fetched. Raises ShardwrightError.

    >>> found = plan({"model": {"id": "meta-llama/Llama-3.1-70B"},
    ...               "cluster": {"gpu": "H100-SXM", "nodes": 1}})
    >>> str(found.layout), found.fits
    ('TP=4 PP=1', True)
    """
    request, folder = _request(spec)
    per_hour = usd_per_gpu_hour if usd_per_gpu_hour is not None else {}
    question = Question(
        allowed=Allowed(
            gpus=tuple(gpus), engines=tuple(engines), quantizations=tuple(quantizations)
        ),
        objective=Objective(objective),
        prices=Prices(per_hour=per_hour if isinstance(per_hour, Mapping) else {"": per_hour}),
    )
    return choose(request, _shape(request, folder), question).plan


def _request(spec: str | os.PathLike[str] | Mapping[str, Any] | Request) -> tuple[Request, Path]:
    """Return the request and the folder that relative paths in it start from."""
    if isinstance(spec, Request):
        return spec, Path()
    from shardwright.spec.load import from_mapping, load  # pydantic: only where a spec is read

    if isinstance(spec, Mapping):
        return from_mapping(spec), Path()
    path = Path(spec)
    return load(path.read_text(encoding="utf-8-sig"), str(path)).request, path.parent


def _shape(request: Request, folder: Path) -> ModelShape:
    from shardwright import shape

    if request.model.config_file:
        return shape.read_config(folder / request.model.config_file, request.model.id)
    return shape.load(request.model.id)


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
