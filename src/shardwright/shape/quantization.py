"""Which tensors of a checkpoint are quantized, and how: quantization_config applied to a decoder.

A published pattern names modules by their full path; towers are left alone, as every checkpoint we
know leaves them. Sources: quantization_config of the files in facts/data/models, checks.csv there.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from shardwright.model.errors import usage_error
from shardwright.model.shape import Layer, ModelShape, Quantization, Tensor, WeightScheme
from shardwright.shape import schemes
from shardwright.shape.fields import Fields

# Modules no published recipe quantizes, whatever its list says: routers, the head, what an engine
# builds without a quantized kernel, and what is no matrix product.
_NEVER = re.compile(
    r"(^|\.)(gate|router|router\.proj|shared_expert_gate|lm_head|eh_proj|g_proj|in_proj_ba|in_proj_b"
    r"|in_proj_a|fc|indexer\.weights_proj|scorer\.weights_proj|linear_attn)$"
)
_TOWER = re.compile(r"vision|visual|multi_modal|mm_projector|embed_vision")


def published(f: Fields) -> Quantization | None:
    """Return what the file says of quantization, or None; an unknown method is an error."""
    raw = f.outer.get("quantization_config") or f.raw.get("quantization_config")
    if not isinstance(raw, Mapping) or not raw:
        return None
    method = str(raw.get("quant_method") or raw.get("quant_algo") or "").lower()
    scheme = _scheme(method, raw)
    if scheme is None:
        raise usage_error(
            "unknown-quantization",
            f"config.json names quant_method {method!r}, whose storage we do not know",
            remedy="give one in bf16, fp8, awq, gptq, compressed-tensors, modelopt or mxfp4",
        )
    ignored: list[str] = []
    for name in ("modules_to_not_convert", "ignore", "exclude_modules", "ignored_layers"):
        ignored += [str(m) for m in raw.get(name) or ()]
    if method == "fbgemm_fp8":
        ignored.append("*self_attn*")  # Meta's recipe: attention stays bf16 (index.csv)
    return Quantization(
        method=method,
        scheme=scheme,
        ignored=tuple(ignored),
        kv_cache_dtype=_kv_cache(raw),
        routed_scheme=schemes.MXFP4 if f.get("expert_dtype") == "fp4" else None,
        is_routed_only=method == "mxfp4" or bool(raw.get("moe_quant_algo")),
    )


def _scheme(method: str, raw: Mapping[str, Any]) -> WeightScheme | None:
    groups = raw.get("config_groups")
    algo = str(raw.get("quant_algo") or "").upper()
    if method == "fbgemm_fp8":
        return schemes.FP8_CHANNEL
    if algo in {"NVFP4", "MIXED_PRECISION"} or "nvfp4" in method:
        return schemes.NVFP4
    if isinstance(groups, Mapping) and groups:
        first = next(iter(groups.values()))
        return schemes.from_group(first, str(raw.get("format") or first.get("format") or ""))
    if method in {"fp8", "modelopt"} or algo == "FP8":
        block = raw.get("weight_block_size")
        if block:
            return schemes.fp8_block(int(block[0]), int(block[1]))
        static = raw.get("activation_scheme", "static" if method != "fp8" else "dynamic")
        return replace(schemes.FP8_TENSOR, has_input_scale=static == "static")
    bits, size = int(raw.get("bits") or 4), int(raw.get("group_size") or 128)
    if method in {"awq", "gptq", "auto-round", "awq_marlin", "gptq_marlin"}:
        zero = bool(raw.get("zero_point", method == "awq")) or raw.get("sym") is False
        return schemes.integer_groups(bits, size, has_zero_points=zero, name=method)
    if method == "mxfp4":
        return schemes.MXFP4
    if method == "bitsandbytes":
        return schemes.integer_groups(
            4 if raw.get("load_in_4bit", True) else 8, 64, has_zero_points=False, name=method
        )
    return None


def _kv_cache(raw: Mapping[str, Any]) -> str | None:
    said = raw.get("kv_cache_quant_algo") or raw.get("kv_cache_scheme")
    if isinstance(said, Mapping):
        return "fp8" if said.get("num_bits") == 8 else None
    return str(said).lower() if said else None


def requested(name: str) -> Quantization | None:
    """Return what an engine makes of an unquantized checkpoint when told to quantize it; None if
    the name means no quantization.

    >>> requested("fp8").scheme.name
    'fp8'
    """
    known = {
        "fp8": schemes.FP8_TENSOR,
        "nvfp4": schemes.NVFP4,
        "fp4": schemes.NVFP4,
        "mxfp4": schemes.MXFP4,
        "int8": schemes.INT8_CHANNEL,
        "int4": schemes.integer_groups(4, 128, has_zero_points=False, name="int4"),
        "awq": schemes.integer_groups(4, 128, has_zero_points=True, name="awq"),
        "gptq": schemes.integer_groups(4, 128, has_zero_points=False, name="gptq"),
    }
    if name.lower() in {"", "none", "auto", "bf16", "bfloat16", "fp16", "float16", "fp32"}:
        return None
    scheme = known.get(name.lower())
    if scheme is None:
        raise usage_error(
            "unknown-quantization",
            f"{name!r} is not a quantization we know",
            remedy=f"use one of {', '.join(known)}",
        )
    return Quantization(method=name.lower(), scheme=scheme, is_inferred=True)


_IN_NAME = re.compile(
    r"(?:^|[-_.])(nvfp4|mxfp4|fp8|awq|gptq|int4|int8|w4a16|w8a8)(?=$|[-_.])", re.IGNORECASE
)


def from_name(model_id: str) -> Quantization | None:
    """Return the quantization a model's name tells of, for files that leave it out.

    >>> from_name("nvidia/DeepSeek-V3.1-NVFP4").scheme.name, from_name("Qwen/Qwen3-8B")
    ('nvfp4', None)
    """
    found = _IN_NAME.search(model_id.rpartition("/")[2])
    if found is None:
        return None
    name = {"w4a16": "int4", "w8a8": "int8"}.get(found[1].lower(), found[1].lower())
    out = requested(name)
    # NVIDIA leaves attention and shared experts of its FP4 mixtures in bf16
    attention = ("*self_attn*", "*shared_expert*") if name == "nvfp4" else ()
    return replace(out, ignored=attention) if out else None


def _suffix(pattern: str) -> str:
    """Drop what stands before `layers.`: text models and their multimodal twins differ in it."""
    found = re.search(r"(?:^|\.)(layers\..*)$", pattern)
    return found[1] if found else pattern.removeprefix("model.").removeprefix("language_model.")


@dataclass(frozen=True, slots=True)
class _Patterns:
    exact: frozenset[str]
    expressions: tuple[re.Pattern[str], ...]

    @property
    def is_empty(self) -> bool:
        """Whether they name no module at all."""
        return not self.exact and not self.expressions

    def match(self, module: str) -> bool:
        """Whether a module or one it belongs to is named."""
        owner = module if self.exact else ""
        while owner:
            if owner in self.exact:
                return True
            owner = owner.rpartition(".")[0]
        return any(e.search(module) for e in self.expressions)


def _compile(ignored: Iterable[str]) -> _Patterns:
    exact: set[str] = set()
    expressions: list[re.Pattern[str]] = []
    for pattern in ignored:
        if _TOWER.search(pattern):
            continue
        if pattern.startswith("re:"):
            expressions.append(re.compile(pattern[3:]))
        elif "*" in pattern:
            expressions.append(re.compile(r"(^|\.)" + fnmatch.translate(_suffix(pattern))))
        else:
            exact.add(_suffix(pattern))
    return _Patterns(frozenset(exact), tuple(expressions))


def quantized_layers(
    layers: tuple[Layer, ...], quantization: Quantization, *, first: int = 0
) -> tuple[Layer, ...]:
    """Return the layers with a scheme on every weight the checkpoint quantizes.

    first: the index the first of the layers has in the published names.
    """
    patterns = _compile(quantization.ignored)
    routed, only_routed = quantization.routed_scheme, quantization.is_routed_only
    seen: dict[tuple[int, tuple[bool, ...]], Layer] = {}
    able: dict[int, tuple[bool, ...]] = {}
    out = []
    for index, layer in enumerate(layers, first):
        if id(layer) not in able:
            able[id(layer)] = tuple(
                t.is_linear and not _NEVER.search(t.name) and (t.is_routed or not only_routed)
                for t in layer.tensors
            )
        chosen = able[id(layer)]
        if not patterns.is_empty:
            chosen = tuple(
                is_able and not patterns.match(_module(index, t))
                for t, is_able in zip(layer.tensors, chosen, strict=True)
            )
        key = (id(layer), chosen)
        if key not in seen:
            seen[key] = replace(
                layer,
                tensors=tuple(
                    replace(t, scheme=(routed if t.is_routed and routed else quantization.scheme))
                    if is_chosen
                    else t
                    for t, is_chosen in zip(layer.tensors, chosen, strict=True)
                ),
            )
        out.append(seen[key])
    return tuple(out)


def _module(index: int, tensor: Tensor) -> str:
    name = tensor.name.replace("experts.", "experts.0.") if tensor.is_routed else tensor.name
    return f"layers.{index}.{name}"


@lru_cache(maxsize=256)
def requantized(shape: ModelShape, name: str) -> ModelShape:
    """Return a shape as an engine holds it when told to quantize an unquantized checkpoint.

    A checkpoint that is quantized already stays as it is.

    >>> from shardwright.shape import load
    >>> requantized(load("Qwen/Qwen3-8B"), "fp8").quantization.method
    'fp8'
    """
    quantization = requested(name)
    if quantization is None or shape.quantization is not None:
        return shape
    return replace(
        shape,
        layers=quantized_layers(shape.layers, quantization),
        mtp=quantized_layers(shape.mtp, quantization, first=shape.num_layers),
        quantization=quantization,
    )
