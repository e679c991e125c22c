"""read_config: a published config.json becomes a ModelShape. The only entrance to the builders of
this room.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shardwright.facts import models
from shardwright.model.errors import usage_error
from shardwright.model.finding import Finding, Severity
from shardwright.model.origin import Origin
from shardwright.model.shape import ModelShape
from shardwright.shape.decoder import Decoder
from shardwright.shape.families import FAMILIES
from shardwright.shape.fields import Fields
from shardwright.shape.standard import build

BUILDERS: dict[str, Callable[[Fields], Decoder]] = {}

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
        raise usage_error("config-not-json", f"{path} holds no JSON object")
    return _shape(raw, model_id or path.stem)


def load(name: str) -> ModelShape:
    """Return the shape of a bundled model, by any of its names, or of a config.json on disk.

    >>> load("meta-llama/Llama-3.1-8B").num_params
    8030261248
    """
    if name.endswith(".json") or Path(name).is_dir():
        return read_config(name)
    published = models.load(name)
    return read_config(published.config, name)


def _shape(raw: Mapping[str, Any], model_id: str) -> ModelShape:
    f = _text_fields(raw)
    findings: list[Finding] = []
    origin = Origin.MODELLED
    if f.model_type in BUILDERS:
        decoder = BUILDERS[f.model_type](f)
    elif f.model_type in FAMILIES:
        decoder = build(f, FAMILIES[f.model_type])
    else:
        decoder, origin = build(f, FAMILIES["llama"]), Origin.ASSUMED
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
    architectures = raw.get("architectures") or f.raw.get("architectures") or [f.model_type]
    return ModelShape(
        id=model_id,
        architecture=str(architectures[0]),
        model_type=str(raw.get("model_type", f.model_type)),
        dtype=_dtype(raw, f),
        num_layers=len(decoder.layers),
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
        layers=decoder.layers,
        first=decoder.first,
        last=decoder.last,
        mtp=decoder.mtp,
        moe=decoder.moe,
        mla=decoder.mla,
        sliding_window=f.get("sliding_window"),
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


def _dtype(raw: Mapping[str, Any], f: Fields) -> str:
    """Return the published dtype; engines load bfloat16 where none is given."""
    for where in (raw, f.raw):
        for name in ("torch_dtype", "dtype"):
            value = where.get(name)
            if isinstance(value, str):
                return value.removeprefix("torch.")
    return "bfloat16"
