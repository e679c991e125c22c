"""What is known of a model by its name: heads, and the bytes of its weights.

The shapes are heavy to import and to build, so both wait until a manifest names a model we ship.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from shardwright.facts import models

_GATED = re.compile(
    r"meta-llama/|google/(?:gemma|codegemma|paligemma|medgemma)|bigcode/starcoder"
    r"|CohereFor?AI/|CohereLabs/|mistralai/(?:Mistral-Large|Pixtral-Large|Codestral)",
    re.IGNORECASE,
)
"""Organisations' models that Hugging Face serves only after their licence was accepted."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model we ship the config of. weight_bytes: of the checkpoint as published.

    is_certain: named by its full id; False where only a folder's name says what lies in it.
    """

    id: str
    num_attention_heads: int
    num_kv_heads: int
    weight_bytes: int
    max_positions: int
    dtype: str = "bfloat16"
    """What engines serve it in by themselves: half precision where the file holds float32."""
    is_certain: bool = True


@cache
def model_facts(name: str) -> ModelFacts | None:
    """Return what is known of a model by its id, or by the name of the folder it lies in."""
    found = models.find(name) if is_hub_id(name) else None
    is_certain = found is not None
    found = found or _by_last_part().get(name.rstrip("/").rpartition("/")[2].lower())
    if found is None:
        return None
    from shardwright.launch.build import checkpoint_bytes
    from shardwright.model.errors import ShardwrightError
    from shardwright.shape.reader import load

    try:
        shape = load(found)
    except ShardwrightError:  # an architecture the shape reader refuses
        return None
    return ModelFacts(
        id=found,
        dtype="bfloat16" if shape.dtype == "float32" else shape.dtype,
        is_certain=is_certain,
        num_attention_heads=shape.num_attention_heads,
        num_kv_heads=shape.num_kv_heads,
        weight_bytes=checkpoint_bytes(shape),
        max_positions=_positions(models.load(found).config, shape.max_position_embeddings),
    )


@cache
def _by_last_part() -> dict[str, str]:
    """Models by the part of their id after the organisation; names that two share are left out."""
    names = [name.partition("/")[2].lower() for name in models.index()]
    return {
        last: name
        for name in models.index()
        if (last := name.partition("/")[2].lower()) and names.count(last) == 1
    }


def _positions(config: Mapping[str, Any], positions: int) -> int:
    """Positions with the stretch the config itself asks for, as vLLM derives max_model_len.

    Types such as llama3 and longrope already count it in max_position_embeddings.
    """
    text = config.get("text_config") or config
    scaling = text.get("rope_scaling") or text.get("rope_parameters") or {}
    if not isinstance(scaling, Mapping) or not isinstance(scaling.get("factor"), int | float):
        return positions
    kind = scaling.get("rope_type") or scaling.get("type")
    if kind not in {"yarn", "linear", "dynamic", "deepseek_yarn"}:
        return positions
    original = scaling.get("original_max_position_embeddings") or positions
    return max(positions, int(original * scaling["factor"]))


def is_hub_id(name: str) -> bool:
    """True for `organisation/name`, which engines download; False for paths and buckets.

    >>> is_hub_id("meta-llama/Llama-3.1-8B"), is_hub_id("/models/llama"), is_hub_id("s3://b/m")
    (True, False, False)
    """
    return _HUB_ID.fullmatch(name) is not None and not name.startswith(("models/", "mnt/", "data/"))


def is_gated(name: str) -> bool:
    """True if the hub asks for a token before it gives this model."""
    return _GATED.match(name) is not None
