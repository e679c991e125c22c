"""The knowledge: one YAML file per cause, read into frozen values.

A new cause is a new file in `knowledge/`; `docs/causes.md` and `shardwright explain` are made from
these files, and each file's `example` is a test. The fields are described in `knowledge/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from shardwright.diagnose.evidence import Source
from shardwright.launch.transport import PlannedLinks
from shardwright.model.request import parse_fabric

# file name without suffix -> a cause; other files of the folder carry other knowledge
NOT_CAUSES = frozenset({"benign"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that speaks for a cause.

    weight: how likely the cause is when this alone is seen, 0..1. Exactly one of pattern (RE2, one
    line) and predicate (a name in `predicates`) is set. needs: other signals without which this
    one does not count; without: others beside which it does not, since they explain it.
    exception: a pattern whose lines do not count. sources: where it counts; what was asked for
    (manifests, commands, annotations) only where the signal says that it speaks of that. light:
    lines count even where the program says them in passing (INFO, "falling back"). when: a
    condition of `planned` that a line must meet.
    """

    name: str
    weight: float
    pattern: str | None
    predicate: str | None
    sources: frozenset[Source]
    needs: tuple[str, ...]
    exception: str | None
    without: tuple[str, ...] = ()
    light: bool = False
    when: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One page of knowledge.

    explains: codes or families whose findings are consequences of this one. yields: true for what
    happens whenever anything else goes wrong (a probe kill), so any surer cause explains it.
    slows: true for what makes serving slow and ends nothing, so it explains nothing that ended.
    requires: groups of signals of which each needs one. unless: signal name -> why its presence
    rules this cause out. cause and remedy may name values caught by signals, as `{name}`; text in
    `[[..]]` is left out where its value was not caught. example_links: what the examples are held
    against, where the cause needs a plan.
    """

    code: str
    family: str
    title: str
    cause: str
    signals: tuple[Signal, ...]
    requires: tuple[tuple[str, ...], ...]
    unless: Mapping[str, str]
    explains: frozenset[str]
    yields: bool
    slows: bool
    remedy: str
    collect: str
    references: tuple[str, ...]
    examples: tuple[str, ...]
    example_links: PlannedLinks | None = None


def _cause(code: str, raw: Mapping[str, Any]) -> Cause:
    known = {"family", "title", "cause", "signals", "requires", "unless", "explains", "remedy"}
    unknown = set(raw) - known - {"yields", "slows", "collect", "references", "examples", "plan"}
    if unknown:
        raise ValueError(f"{code}: unknown fields {sorted(unknown)}")
    return Cause(
        code=code,
        family=raw["family"],
        title=raw["title"],
        cause=raw["cause"].strip(),
        signals=tuple(_signal(code, name, each) for name, each in raw["signals"].items()),
        requires=tuple(tuple(group) for group in raw.get("requires", ())),
        unless=dict(raw.get("unless", {})),
        explains=frozenset(raw.get("explains", ())),
        yields=bool(raw.get("yields", False)),
        slows=bool(raw.get("slows", False)),
        remedy=raw["remedy"].strip(),
        collect=raw.get("collect", "").strip(),
        references=tuple(raw.get("references", ())),
        examples=tuple(raw["examples"]),
        example_links=_links(raw["plan"]) if "plan" in raw else None,
    )


def _links(raw: Mapping[str, Any]) -> PlannedLinks:
    fabric = parse_fabric(raw["fabric"]) if "fabric" in raw else None
    return PlannedLinks(
        num_members=raw["members"], gpus_per_member=8, scaleup=raw.get("scaleup"), fabric=fabric
    )


def _signal(code: str, name: str, raw: Mapping[str, Any]) -> Signal:
    unknown = set(raw) - {
        "pattern",
        "predicate",
        "weight",
        "in",
        "needs",
        "without",
        "except",
        "light",
        "when",
        "asked",
    }
    if unknown or ("pattern" in raw) == ("predicate" in raw):
        raise ValueError(f"{code}.{name}: one of pattern and predicate, nothing else {unknown}")
    return Signal(
        name=f"{code}.{name}",
        weight=float(raw["weight"]),
        pattern=raw.get("pattern"),
        predicate=raw.get("predicate"),
        sources=_sources(raw),
        needs=tuple(raw.get("needs", ())),
        exception=raw.get("except"),
        without=tuple(raw.get("without", ())),
        light=bool(raw.get("light", False)),
        when=raw.get("when"),
    )


def _sources(raw: Mapping[str, Any]) -> frozenset[Source]:
    tells = {Source(s) for s in raw["in"]} if "in" in raw else set(Source) - {Source.MANIFEST}
    return frozenset(tells | ({Source.MANIFEST} if raw.get("asked") else set()))


def _read(name: str) -> dict[str, Any]:
    text = resources.files("shardwright.diagnose").joinpath("knowledge", name).read_text("utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return loaded


@cache
def load_causes() -> tuple[Cause, ...]:
    """Read every cause, sorted by code."""
    folder = resources.files("shardwright.diagnose").joinpath("knowledge")
    names = sorted(p.name for p in folder.iterdir() if p.name.endswith(".yaml"))
    return tuple(
        _cause(name.removesuffix(".yaml"), _read(name))
        for name in names
        if name.removesuffix(".yaml") not in NOT_CAUSES
    )


@cache
def load_benign() -> Mapping[str, str]:
    """Patterns of lines that look like a cause and are none -> why."""
    return dict(_read("benign.yaml"))
