"""The KV cache an engine will have, by the plan's own memory rules, where the text says enough.

Enough is: a model we ship, a GPU named by node labels, and a cut that is known. The rules are heavy
to import, so they wait until a manifest has all three.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from shardwright.lint.bundle import Member
from shardwright.lint.command.invocation import EngineInvocation
from shardwright.lint.modelfacts import model_facts
from shardwright.lint.reading import dig, mapping, mappings, sequence, text
from shardwright.lint.workload.pod import Pod

_GPU_LABELS = re.compile(r"gpu[-.]?(?:product|type|model|name)|accelerator$|gke-accelerator|gpu$")
_MACHINE_LABELS = frozenset(
    {"node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"}
)
_MAKERS = re.compile(r"^(?:nvidia|amd)[-_ ]", re.IGNORECASE)
_RULES = {"vllm", "sglang"}
"""Engines whose rule answers from flags alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """kv_tokens: what the KV cache holds; shortfall_bytes: on the worst rank, for one request."""

    gpu: str
    kv_tokens: int
    shortfall_bytes: int


def gpu_of(pod: Pod) -> str | None:
    """Name the GPU a pod's node labels ask for; None when they do not, or name several."""
    found: set[str] = set()
    for label, values in _node_labels(pod):
        named = {gpu for value in values if (gpu := _known_gpu(label, value))}
        if len(values) == 1:
            found |= named
    return next(iter(found)) if len(found) == 1 else None


def _node_labels(pod: Pod) -> list[tuple[str, list[str]]]:
    labels = [(str(k), [text(v)]) for k, v in mapping(pod.data.get("nodeSelector")).items()]
    terms = dig(
        pod.data, "affinity", "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms",
    )  # fmt: skip
    for _, term in mappings(terms):
        for _, expression in mappings(term.get("matchExpressions")):
            if expression.get("operator") == "In":
                values = [text(value) for value in sequence(expression.get("values"))]
                labels.append((text(expression.get("key")), values))
    return labels


@cache
def _known_gpu(label: str, value: str) -> str | None:
    from shardwright.facts.aliases import canonical
    from shardwright.facts.nodes import nodes

    if label in _MACHINE_LABELS:
        return nodes()[value].gpu if value in nodes() else None
    if not _GPU_LABELS.search(label.lower()):
        return None
    return canonical("gpu", value) or canonical("gpu", _MAKERS.sub("", value))


def capacity(member: Member, engine: EngineInvocation, max_length: int | None) -> Capacity | None:
    """Predict the KV cache of one engine; None where the text does not say enough."""
    facts, gpu = model_facts(engine.model), gpu_of(member.pod)
    tensor, pipeline = engine.tensor_parallel, engine.pipeline_parallel
    if facts is None or gpu is None or tensor is None or pipeline is None:
        return None
    if engine.engine.value not in _RULES:
        return None
    return _predict(
        (
            ("model", facts.id),
            ("gpu", gpu),
            ("engine", engine.engine.value),
            ("engine_version", str(engine.version) if engine.version else ""),
            ("dtype", facts.dtype),
            ("tp", str(tensor)),
            ("pp", str(pipeline)),
            ("max_model_len", str(max_length or "")),
            (
                "gpu_memory_utilization",
                _value(engine, "--gpu-memory-utilization", "--mem-fraction-static"),
            ),
            ("kv_cache_dtype", _kv_dtype(_value(engine, "--kv-cache-dtype"))),
            ("quantization", _value(engine, "--quantization", "-q")),
            ("max_num_seqs", _value(engine, "--max-num-seqs", "--max-running-requests")),
        )
    )


def _value(engine: EngineInvocation, *names: str) -> str:
    flag = engine.find(names)
    return (flag.value or "") if flag else ""


def _kv_dtype(value: str) -> str:
    return "" if value == "auto" else value


@cache
def _predict(row: tuple[tuple[str, str], ...]) -> Capacity | None:
    from shardwright.model.errors import ShardwrightError
    from shardwright.planner.memory import predict
    from shardwright.planner.memory_rows import question_of

    try:
        answer = predict(question_of(dict(row)))
    except ShardwrightError:  # a quantization or a version the rules do not know
        return None
    return Capacity(
        gpu=dict(row)["gpu"],
        kv_tokens=answer.kv_tokens,
        shortfall_bytes=answer.shortfall_bytes,
    )
