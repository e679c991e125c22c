"""read_config: a published config.json becomes a ModelShape. The only entrance to the builders of
this room.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from shardwright.facts import models
from shardwright.model.errors import usage_error
from shardwright.model.finding import Finding, Severity
from shardwright.model.origin import Origin
from shardwright.model.shape import Layer, ModelShape, Quantization, Tensor
from shardwright.shape import quantization as quantizations
from shardwright.shape.compressed import build_compressed
from shardwright.shape.decoder import Decoder
from shardwright.shape.families import FAMILIES, generic
from shardwright.shape.fields import Fields
from shardwright.shape.gemma4 import build_gemma4
from shardwright.shape.hybrid import build_qwen_hybrid
from shardwright.shape.kimi import build_kimi_linear
from shardwright.shape.latent import build_latent
from shardwright.shape.mamba import build_granite_hybrid, build_nemotron_h
from shardwright.shape.singular import (
    build_falcon,
    build_mimo,
    build_mllama,
    build_nas,
    build_phi3_small,
    build_qwen1,
)
from shardwright.shape.singular_experts import (
    build_llama4,
    build_mimo_v2,
    build_minimax_m3,
    build_step,
)
from shardwright.shape.standard import build
from shardwright.shape.vision import TOWERS

BUILDERS: dict[str, Callable[[Fields], Decoder]] = {
    "deepseek_v2": build_latent,
    "deepseek_v3": build_latent,
    "deepseek_v32": build_latent,
    "kimi_k2": build_latent,
    "glm_moe_dsa": build_latent,
    "glm4_moe_lite": build_latent,
    "qwen3_next": build_qwen_hybrid,
    "qwen3_5_text": build_qwen_hybrid,
    "qwen3_5_moe_text": build_qwen_hybrid,
    "nemotron_h": build_nemotron_h,
    "granitemoehybrid": build_granite_hybrid,
    "falcon": build_falcon,
    "qwen": build_qwen1,
    "phi3small": build_phi3_small,
    "mimo": build_mimo,
    "step3p7": build_step,
    "llama4_text": build_llama4,
    "mllama_text_model": build_mllama,
    "mimo_v2_flash": build_mimo_v2,
    "nemotron-nas": build_nas,
    "minimax_m3": build_minimax_m3,
    "kimi_linear": build_kimi_linear,
    "deepseek_v4": build_compressed,
    "deepseek_ref": build_compressed,
    "gemma4_text": build_gemma4,
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "gemma3_text": {"vocab_size": 262208, "max_position_embeddings": 131072},
}
"""Values a family's config class supplies where the published file leaves them out."""


def read_config(source: Mapping[str, Any] | str | Path, model_id: str | None = None) -> ModelShape:
    """Return the exact shape of a model from its config.json, given as a mapping or a file.

    model_id: what to call it; the file's own name otherwise. An architecture we do not know is
    estimated as a plain decoder, with origin assumed and a finding. Raises ShardwrightError for a
    file that is not a model's config.
    """
    if isinstance(source, Mapping):
        return _shape(source, model_id or str(source.get("_name_or_path") or "config.json"))
    path = Path(source)
    if path.is_dir():
        path /= "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise usage_error(
            "config-unreadable",
            f"cannot read {path}: {error.strerror}",
            remedy="give the path of a model's config.json, or its directory",
        ) from error
    except ValueError as error:
        raise usage_error(
            "config-not-json",
            f"{path} is not JSON: {error}",
            remedy="give the config.json as published beside the weights",
        ) from error
    if not isinstance(raw, Mapping):
        raise usage_error(
            "config-not-json",
            f"{path} holds no JSON object",
            remedy="give the config.json as published beside the weights",
        )
    return _shape(raw, model_id or path.stem)


def load(name: str) -> ModelShape:
    """Return the shape of a bundled model, by any of its names, or of a config.json on disk.

    >>> load("meta-llama/Llama-3.1-8B").num_params
    8030261248
    """
    if name.endswith(".json") or Path(name).is_dir():
        return read_config(name)
    return _bundled(name)


@lru_cache(maxsize=16)
def _bundled(name: str) -> ModelShape:
    """Read a config that ships with us, and so never changes: specs name the same few models."""
    return read_config(models.load(name).config, name)


def _shape(raw: Mapping[str, Any], model_id: str) -> ModelShape:
    f = _text_fields(raw)
    findings: list[Finding] = []
    origin = Origin.MODELLED
    if f.model_type in BUILDERS:
        decoder = BUILDERS[f.model_type](f)
    elif f.model_type in FAMILIES:
        decoder = build(f, FAMILIES[f.model_type])
    else:
        decoder, origin = build(f, generic(f)), Origin.ASSUMED
        findings.append(
            Finding(
                code="unknown-architecture",
                severity=Severity.WARNING,
                what=f"model_type {f.model_type!r} is not one we know; its size is estimated as a "
                "plain decoder",
                why="the sizes in config.json do not say which tensors a family stores",
                remedy="compare the weights with the engine's own `Model loading took` line",
            )
        )
    layers, mtp = _interned(decoder.layers), decoder.mtp
    quantization = quantizations.published(f)
    if quantization is None and (quantization := quantizations.from_name(model_id)):
        origin = Origin.ASSUMED
        findings.append(_inferred(model_id, quantization))
    if quantization:
        layers = quantizations.quantized_layers(layers, quantization)
        mtp = quantizations.quantized_layers(mtp, quantization, first=len(layers))
    architectures = raw.get("architectures") or f.raw.get("architectures") or [f.model_type]
    return ModelShape(
        id=model_id,
        architecture=str(architectures[0]),
        model_type=str(raw.get("model_type", f.model_type)),
        dtype=_dtype(raw, f),
        num_layers=len(layers),
        hidden_size=f.num("hidden_size", "n_embd", "d_model"),
        intermediate_size=decoder.intermediate_size,
        num_attention_heads=decoder.num_heads,
        num_kv_heads=decoder.num_kv_heads,
        head_dim=decoder.head_dim,
        vocab_size=f.num("vocab_size"),
        max_position_embeddings=f.num(
            "max_position_embeddings",
            "n_positions",
            "max_sequence_length",
            "seq_length",
            default=2048,
        ),
        tie_word_embeddings=decoder.is_tied,
        layers=layers,
        first=decoder.first,
        last=decoder.last,
        vision=_vision(raw, f),
        mtp=mtp,
        moe=decoder.moe,
        mla=decoder.mla,
        sliding_window=f.get("sliding_window"),
        quantization=quantization,
        rope_dims=decoder.rope_dims,
        origin=origin,
        findings=(*decoder.findings, *findings),
    )


def _text_fields(raw: Mapping[str, Any]) -> Fields:
    """Return the language model's part of a file: text_config where there is one."""
    for name in ("text_config", "llm_config", "language_config"):
        part = raw.get(name)
        if isinstance(part, Mapping):
            kind = str(part.get("model_type", raw.get("model_type", "?")))
            return Fields({**DEFAULTS.get(kind, {}), **part}, kind, raw)
    if not any(k in raw for k in ("hidden_size", "n_embd", "d_model")):
        raise usage_error(
            "config-not-a-model",
            "this JSON has no hidden_size: it is not a model's config.json",
            remedy="give the config.json as published beside the weights",
        )
    kind = str(raw.get("model_type", "?"))
    return Fields({**DEFAULTS.get(kind, {}), **raw}, kind, raw)


def _interned(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Make equal layers one object: what is summed per layer is then summed once per kind."""
    seen: dict[Layer, Layer] = {}
    return tuple(seen.setdefault(layer, layer) for layer in layers)


def _inferred(model_id: str, quantization: Quantization) -> Finding:
    return Finding(
        code="quantization-from-name",
        severity=Severity.WARNING,
        what=f"{model_id}: its config.json names no quantization; {quantization.scheme.name} is "
        "taken from the model's name",
        why="some publishers keep it in hf_quant_config.json, which does not ship with us",
        remedy="compare the weights with the engine's own `Model loading took` line",
    )


def _vision(raw: Mapping[str, Any], f: Fields) -> tuple[Tensor, ...]:
    """Return the vision tower of a multimodal file; empty for a text model."""
    kind = str(raw.get("model_type"))
    part = raw.get("vision_config")
    if kind not in TOWERS or (part is None and kind != "step3p7"):
        return ()
    return TOWERS[kind](Fields(part or {}, kind, raw), f.num("hidden_size"))


def _dtype(raw: Mapping[str, Any], f: Fields) -> str:
    """Return the published dtype; engines load bfloat16 where none is given."""
    for where in (raw, f.raw):
        for name in ("torch_dtype", "dtype"):
            value = where.get(name)
            if isinstance(value, str):
                return value.removeprefix("torch.")
    return "bfloat16"
