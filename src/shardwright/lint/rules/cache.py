"""The KV cache against the longest request."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.capacity import capacity
from shardwright.lint.finding import Found, Rule
from shardwright.lint.modelfacts import model_facts
from shardwright.lint.rules.parallelism import read_tokens
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity

_CERTAIN = 0.7
"""Below this share of the needed tokens the prediction's error no longer matters: it is a few
percent of the card (docs/accuracy-memory.md)."""
_OPAQUE = ("--cpu-offload-gb", "--kv-cache-memory-bytes", "--num-gpu-blocks-override",
           "--enable-lora", "--speculative-config", "--hf-overrides", "--rope-scaling",
           "--load-format", "--kv-offloading-size", "--config", "--enable-dp-attention",
           "--data-parallel-size", "--dp-size", "--dtype")  # fmt: skip


def _length_beyond_cache(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        engine, member = group.engine, group.lead
        facts = model_facts(engine.model)
        if facts is None or engine.has(*_OPAQUE) or not member.container.gpus:
            continue
        flag = engine.find(engine.dialect.max_length) if engine.dialect.max_length else None
        length = read_tokens(flag.value) if flag else facts.max_positions
        found = capacity(member, engine, length)
        if found is None or length is None or found.kv_tokens >= length:
            continue
        is_sure = facts.is_certain and found.kv_tokens < length * _CERTAIN
        given = flag.typed if flag else "the model's own length of"
        yield Found(
            object=member.object,
            path=engine.site.path,
            near=flag.typed if flag else engine.model,
            severity=Severity.ERROR if is_sure else Severity.WARNING,
            what=(
                f"{given} {length} is more than the KV cache of TP={engine.tensor_parallel}"
                f" PP={engine.pipeline_parallel} on {found.gpu} holds:"
                f" about {max(found.kv_tokens, 0)} tokens"
            ),
            remedy=_remedy(engine.dialect.max_length[0], found.kv_tokens),
        )


def _remedy(flag: str, tokens: int) -> str:
    if tokens < 1024:
        return "add GPUs: raise tensor or pipeline parallel, or serve a quantized checkpoint"
    return f"set {flag} to {tokens // 1024 * 1024} or less, or add GPUs"


RULES = (
    Rule(
        code="length-beyond-cache",
        severity=Severity.ERROR,
        title="a context longer than the KV cache holds",
        why=(
            "Engines refuse to start when the KV cache left beside weights and activations cannot"
            " hold one request of the longest length. The cache is predicted by the rules `plan`"
            " uses, from the model, the GPU the node labels name, and the flags."
        ),
        remedy="lower the longest length, or add GPUs",
        references=(
            "https://docs.vllm.ai/en/stable/configuration/conserving_memory/",
            "docs/accuracy-memory.md",
        ),
        check=_length_beyond_cache,
    ),
)
