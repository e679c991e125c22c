"""Published config.json files that ship with the package; provenance in data/models/index.csv.

A model id outside this list is fetched by `shardwright.drive.hub`, or given as a path.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from shardwright.facts.aliases import canonical, folded, nearest
from shardwright.facts.table import DATA
from shardwright.model.errors import usage_error

_TUNED = re.compile(r"-(instruct|chat|base|it|hf)(?=-|$)", re.IGNORECASE)
"""Suffixes of fine-tunes: the same tensors as their base model."""

_QUANTIZED = re.compile(
    r"[-_.](nvfp4|mxfp4|fp4|fp8|fp8-dynamic|fp8-block|fp8-kv|awq|awq-int4|gptq|gptq-int[48]"
    r"|int[48]|quantized\.w\d+a\d+|w\d+a\d+)(-v\d)?$",
    re.IGNORECASE,
)
_DATED = re.compile(r"-\d{4}(?=$|[-_.])")
"""A release by month and day or year and month (R1-0528, 2507): the tensors are the same."""
"""Suffixes of quantized checkpoints: the shape of the model they were made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedConfig:
    """A config.json and where it came from.

    provenance: verbatim, inlined, dump, adapted or trimmed, as data/models/README.md defines them.
    """

    id: str
    config: Mapping[str, Any]
    provenance: str
    source: str
    note: str


@cache
def index() -> dict[str, dict[str, str]]:
    """Return the rows of the index that have a config, by model id."""
    with (DATA / "models" / "index.csv").open(newline="", encoding="utf-8") as file:
        return {row["model_id"]: row for row in csv.DictReader(file) if row["file"]}


def find(name: str) -> str | None:
    """Return the bundled id a name stands for, in any case and by old organisation names.

    A fine-tune or a quantized checkpoint that is not bundled stands for its base: the shape is the
    same, and whoever reads it takes the quantization from the name. So does a model of the same
    published count that was made from another (aliases.csv).

    >>> find("meta-llama/llama-3.1-8b"), find("zhipuai/GLM-4.5"), find("nobody/nothing")
    ('meta-llama/Llama-3.1-8B', 'zai-org/GLM-4.5', None)
    >>> find("meta-llama/Llama-3.1-405B-Instruct")
    'meta-llama/Llama-3.1-405B'
    """
    return (
        _by_key().get(_key(name))
        or canonical("model", name)
        or _twins().get(_twin(name))
        or _twins().get(_source(name))
    )


def load(name: str) -> PublishedConfig:
    """Return a bundled config; an unknown name is an error with the nearest known ones."""
    found = find(name)
    if found is None:
        near = nearest(name, index())
        hint = f"did you mean {', '.join(near)}? otherwise " if near else ""
        raise usage_error(
            "unknown-model",
            f"no config.json for {name!r} ships with shardwright",
            remedy=f"{hint}give the path of its config.json (spec.model.configFile)",
        )
    row = index()[found]
    raw = json.loads((DATA / "models" / row["file"]).read_text(encoding="utf-8"))
    return PublishedConfig(
        id=found,
        config=raw,
        provenance=row["config_provenance"],
        source=row["config_source"],
        note=row["note"],
    )


@cache
def _by_key() -> dict[str, str]:
    exact = {_key(name): name for name in index()}
    by_name: dict[str, str] = {}
    for name in index():
        by_name.setdefault(folded(name.rpartition("/")[2]), name)
    return by_name | exact


@cache
def _twins() -> dict[str, str]:
    # the shortest name is the base model, and the first one stays
    out: dict[str, str] = {}
    for name in sorted(index(), key=lambda n: (len(n), n)):
        out.setdefault(_twin(name), name)
    return out


def _twin(name: str) -> str:
    return _key(_TUNED.sub("", name))


def _source(name: str) -> str:
    # a quantized copy is often published by others than the model: its bare name must do
    bare = _TUNED.sub("", _QUANTIZED.sub("", name)).rpartition("/")[2]
    bases = {_key(n.rpartition("/")[2]): _twin(n) for n in index() if not _QUANTIZED.search(n)}
    for known in (bare, f"{bare}-Instruct", _DATED.sub("", bare)):
        if _key(known) in bases:
            return bases[_key(known)]
    return ""


def _key(name: str) -> str:
    org, slash, rest = name.strip().strip("/").rpartition("/")
    rest = rest.replace("Meta-Llama-3.1", "Llama-3.1")
    if not slash:
        return folded(rest)
    return folded((canonical("model-org", org) or org) + "/" + rest)


def same_model(one: str, other: str) -> bool:
    """Whether two names are one model, other spellings allowed; a fine-tune is another model.

    >>> same_model("meta-llama/Llama-3.1-8B", "LLAMA-3.1-8B")
    True
    """
    return (_by_key().get(_key(one)) or _key(one)) == (_by_key().get(_key(other)) or _key(other))
