"""Which architectures have been rehearsed with the real engine, and which cannot be, and why.

The rows in facts/data/rehearsals.csv are written by `scripts/coverage`, which rehearses one model
of each; `docs/coverage.md` is made from them. A refused architecture is refused before it starts.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shardwright.facts.table import DATA
from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.verify.agreement import TOLERANCE

FILE = DATA / "rehearsals.csv"
FIELDS = (
    "engine", "version", "architecture", "quantization", "model", "verdict", "layout",
    "max_logprob_difference", "why", "date",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """One rehearsal of one architecture. verdict: real (the engine ran and agreed) or refused.

    layout: planned and rehearsed; max_logprob_difference: against one process, nats, as text.
    """

    engine: str
    version: str
    architecture: str
    quantization: str
    model: str
    verdict: str
    layout: str
    max_logprob_difference: str
    why: str
    date: str


def rows() -> tuple[Rehearsed, ...]:
    """Return every row, in the file's order."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return tuple(Rehearsed(**row) for row in csv.DictReader(file))


def architecture_of(config: Mapping[str, Any]) -> str:
    """Name the architecture of a published config."""
    return str(next(iter(config.get("architectures") or ()), config.get("model_type", "unknown")))


def quantization_of(config: Mapping[str, Any]) -> str:
    """Name how a checkpoint is quantized: its quant_method, or none.

    >>> quantization_of({"quantization_config": {"quant_method": "fp8"}}), quantization_of({})
    ('fp8', 'none')
    """
    outer = config.get("quantization_config")
    inner = (config.get("text_config") or {}).get("quantization_config")
    return str((outer or inner or {}).get("quant_method", "none"))


def refuse(engine: str, config: Mapping[str, Any]) -> None:
    """Raise ShardwrightError for an architecture that the engine's CPU build is known not to run.

    One that nobody has tried is let through: the rehearsal itself will tell.
    """
    architecture = architecture_of(config)
    known = [r for r in rows() if (r.engine, r.architecture) == (engine, architecture)]
    if known and all(row.verdict == "refused" for row in known):
        row = known[0]
        raise ShardwrightError(
            code="architecture-not-rehearsed",
            what=f"{architecture} cannot be rehearsed with {engine} {row.version} on a CPU",
            cause=row.why,
            remedy="rehearse the same launch with a model of another architecture (docs/coverage.md"
            " lists them), or on a cluster with GPUs",
            exit_code=ExitCode.USAGE,
        )


def page(table: tuple[Rehearsed, ...]) -> str:
    """Write docs/coverage.md."""
    lines = [
        "# What can be rehearsed",
        "",
        "Each row is a real run by `scripts/coverage`: a published config, shrunk for a planned",
        "layout, written as a checkpoint, loaded and run by the engine's CPU build at TP=2 PP=2,",
        "its tokens scored again by one process. The difference is the largest of any token's log",
        f"probability, in nats; up to {TOLERANCE} is accepted. Quantized checkpoints are rehearsed",
        "in bfloat16, models with a vision tower by their language model: neither the quantized",
        "kernels nor the tower is proved.",
        "",
        "| engine | architecture | quantization | model | verdict | layout | difference | why |",
        "|" + " --- |" * 8,
    ]
    lines += [
        f"| {r.engine} {r.version} | {r.architecture} | {r.quantization} | {r.model} "
        f"| {_VERDICTS[r.verdict]} | {r.layout} | {r.max_logprob_difference} | {r.why} |"
        for r in table
    ]
    lines += ["", *_OTHERS]
    return "\n".join(lines) + "\n"


_VERDICTS = {"real": "real engine", "refused": "refused"}
_OTHERS = (
    "Other engines have no CPU build that runs tensor and pipeline parallelism: SGLang,",
    "TensorRT-LLM and Triton are planned, rendered and linted, not rehearsed.",
    "",
    "An architecture that is not listed is let through, and the rehearsal itself tells. Platforms:",
    "Linux on x86-64 (AVX2 or better) and aarch64; see `shardwright engines`.",
)
