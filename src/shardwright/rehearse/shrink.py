"""A small model of the same architecture, from a published config.json: what a rehearsal serves.

Widths shrink; what decides the wiring stays: heads and KV heads per rank (and with them whether KV
heads are split or replicated), the pattern of layers and their split over stages, tied weights,
vocabulary padding, routing. Pure: `weights` names and fills the tensors, `drive.checkpoint` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shardwright.model.errors import usage_error
from shardwright.model.layout import Layout
from shardwright.model.shape import ModelShape
from shardwright.rehearse import tokenizer
from shardwright.rehearse.widths import Widths, narrow
from shardwright.shape import read_config

MIN_LAYERS_PER_STAGE = 2
"""So that a layer hands its residual to another one inside a stage, and over the cut as well."""


TEXT_ALONE = {
    "Gemma3ForConditionalGeneration": ("Gemma3ForCausalLM", "gemma3_text"),
    "Llama4ForConditionalGeneration": ("Llama4ForCausalLM", "llama4_text"),
    "Mistral3ForConditionalGeneration": ("MistralForCausalLM", "mistral"),
    "KimiK25ForConditionalGeneration": ("DeepseekV3ForCausalLM", "deepseek_v3"),
    "Qwen3VLForConditionalGeneration": ("Qwen3ForCausalLM", "qwen3"),
    "Qwen3VLMoeForConditionalGeneration": ("Qwen3MoeForCausalLM", "qwen3_moe"),
}
"""Models with a vision tower whose language model vLLM also serves alone: class and model_type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """One field of config.json that differs from the published file."""

    field: str
    published: Any
    small: Any
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallModel:
    """A small model before it is written. layers: hidden layers of each pipeline stage."""

    config: Mapping[str, Any]
    shape: ModelShape
    layers: tuple[int, ...]
    narrowed: tuple[Narrowed, ...]


def shrink(
    config: Mapping[str, Any],
    planned: Layout,
    rehearsed: Layout,
    split_layers: Callable[[int, int], tuple[int, ...]],
) -> SmallModel:
    """Shrink a published config for a rehearsal of `planned` on the ranks of `rehearsed`.

    split_layers: (num_layers, pipeline_parallel) -> layers of each stage, as the engine cuts them.
    Raises ShardwrightError where config.json is no model's, where its tensors are not known, and
    where the heads cannot be divided.
    """
    published = read_config(config)
    text = dict(_text_part(config))
    _refuse_unknown(published, is_whole=text == dict(config))
    widths = Widths.of(published, planned.tensor_parallel, rehearsed.tensor_parallel)
    num_layers = fewest_layers(published, planned, rehearsed)
    small = narrow(text, published, widths, num_layers)
    small |= _fixed(text, config)
    narrowed = tuple(
        Narrowed(field=name, published=text.get(name), small=small.get(name), why=_why(name))
        for name in sorted(text.keys() | small.keys())
        if text.get(name) != small.get(name)
    )
    return SmallModel(
        config=small,
        shape=replace(read_config(small), id=f"{published.id} (small)"),
        layers=split_layers(num_layers, rehearsed.pipeline_parallel),
        narrowed=narrowed,
    )


def fewest_layers(published: ModelShape, planned: Layout, rehearsed: Layout) -> int:
    """Fewest layers that hold every kind of layer and split over the stages as evenly, or not.

    126 layers do not divide by 4: the small model's do not either.
    """
    stages = rehearsed.pipeline_parallel
    kinds = [(layer.attention, layer.mlp, layer.tensors) for layer in published.layers]
    seen = max(kinds.index(kind) for kind in set(kinds)) + 1
    num = max(seen, MIN_LAYERS_PER_STAGE * stages)
    num += -num % stages
    left_over = published.num_layers % planned.pipeline_parallel
    return num + min(left_over, stages - 1)


def _refuse_unknown(published: ModelShape, *, is_whole: bool) -> None:
    """Refuse what could only be guessed: unknown tensors, a language model never served alone."""
    if any(finding.code == "unknown-architecture" for finding in published.findings):
        cause = "which tensors it stores, and under which names, is not known here"
    elif not is_whole and published.architecture not in TEXT_ALONE:
        cause = "it has another tower, and no engine serves its language model alone"
    else:
        return
    raise usage_error(
        "architecture-not-rehearsed",
        f"{published.architecture} cannot be shrunk for a rehearsal",
        cause=cause,
        remedy="rehearse the same launch with a model of another architecture: docs/coverage.md",
    )


def _text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's own config, as if it had been published alone."""
    for name in ("text_config", "llm_config", "language_config"):
        part = config.get(name)
        if isinstance(part, Mapping):
            return part
    return config


def _fixed(text: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that follow from being small, random and unquantized."""
    ids = {name: value for name, value in tokenizer.IDS.items() if name in text}
    out: dict[str, Any] = {**ids, "eos_token_id": tokenizer.IDS["eos_token_id"]}
    out["torch_dtype"] = "bfloat16"
    architecture = next(iter(whole.get("architectures") or ()), None)
    if architecture in TEXT_ALONE:
        name, model_type = TEXT_ALONE[architecture]
        out |= {"architectures": [name], "model_type": model_type}
    for gone in ("quantization_config", "compression_config"):
        if gone in text:
            out[gone] = None
    return out


def _why(field: str) -> str:
    return _WHY.get(field, "smaller widths")


_WHY = {
    "quantization_config": "random weights are stored in bfloat16; the CPU engine has no kernel "
    "for most quantized formats",
    "architectures": "the language model alone; its vision tower is not rehearsed",
    "torch_dtype": "random weights are stored in bfloat16",
    "dtype": "random weights are stored in bfloat16",
    "num_hidden_layers": "the fewest layers that hold every kind and split over the stages alike",
    "num_attention_heads": "as many heads per rank as planned, on fewer ranks",
    "num_key_value_heads": "KV heads split or replicated over ranks as planned",
    "vocab_size": "a small tokenizer; padded where the published vocabulary is padded",
    "bos_token_id": "an id of the small tokenizer",
    "eos_token_id": "an id of the small tokenizer",
    "pad_token_id": "an id of the small tokenizer",
    "sliding_window": "short enough for a rehearsal's prompts to slide past it",
    "num_nextn_predict_layers": "layers for multi-token prediction are not rehearsed",
}
