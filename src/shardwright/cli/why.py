"""`shardwright plan --why tp=16`: the reason of every layout that was not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shardwright.cli.options import print_json, terminal_width
from shardwright.model.errors import ExitCode, usage_error
from shardwright.model.folding import fold

if TYPE_CHECKING:
    from shardwright.model.layout import Layout
    from shardwright.model.plan import Basis
    from shardwright.model.request import Request
    from shardwright.model.shape import ModelShape
    from shardwright.planner.plan import Question

NAMES = {
    "tp": "tensor_parallel",
    "pp": "pipeline_parallel",
    "ep": "expert_parallel",
    "dp": "data_parallel",
    "replicas": "replicas",
}
BASES = ("gpu", "engine", "quantization")


def explain_why(
    request: Request, shape: ModelShape, asked: str, question: Question, output: str
) -> int:
    """Print the layouts that match and their reasons.

    A GPU, engine or quantization that is asked about is looked at beside the spec's own.
    """
    from dataclasses import replace

    from shardwright.model.plain import plain
    from shardwright.planner.bases import Allowed
    from shardwright.planner.plan import alternatives

    wanted, basis = parse_layout(asked)
    allowed = question.allowed
    if basis:
        allowed = Allowed(
            gpus=_beside(allowed.gpus, request.cluster.gpu, basis.get("gpu")),
            engines=_beside(allowed.engines, request.engine.name, basis.get("engine")),
            quantizations=_beside(
                allowed.quantizations,
                request.engine.quantization or "none",
                basis.get("quantization"),
            ),
        )
    everything = alternatives(request, shape, replace(question, allowed=allowed))
    found = [r for r in everything if on_basis(r.basis, basis) and _has(r.layout, wanted)]
    if output == "json":
        print_json("why", {"layouts": plain(found)})
        return ExitCode.DONE
    for r in found[:MOST_SHOWN]:
        where = f"{r.basis} " if basis or allowed.is_open else ""
        line = f"{where}{r.layout or 'any layout'}: {r.reason} ({r.code})"
        click.echo("\n".join(fold(line, terminal_width(), 2)))
    if len(found) > MOST_SHOWN:
        click.echo(f"and {len(found) - MOST_SHOWN:,} more: name more degrees, or use -o json")
    if not found:
        click.echo(f"{asked}: not looked at: more GPUs than the cluster has, or no such division")
    return ExitCode.DONE


MOST_SHOWN = 40


def _beside(allowed: tuple[str, ...], own: str, asked: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(allowed or (own,)), *([asked] if asked else ()))))


def parse_layout(text: str) -> tuple[dict[str, int], dict[str, str]]:
    """Read degrees and bases: `tp=16,pp=1`, `gpu=H200,quantization=fp8`.

    >>> parse_layout("tp=16,gpu=h200")
    ({'tensor_parallel': 16}, {'gpu': 'H200-SXM'})
    """
    wanted: dict[str, int] = {}
    basis: dict[str, str] = {}
    for part in filter(None, text.replace(" ", ",").split(",")):
        name, _, value = part.partition("=")
        name = name.lower()
        if name in BASES and value:
            basis[name] = _known(name, value)
        elif name in NAMES and value.isdigit() and int(value) >= 1:
            wanted[NAMES[name]] = int(value)
        else:
            raise usage_error(
                "layout-unreadable",
                f"{part!r} is no part of a layout",
                remedy="write for example tp=16 or tp=8,pp=2 or gpu=H200; known: "
                + ", ".join((*NAMES, *BASES)),
            )
    return wanted, basis


def _known(name: str, value: str) -> str:
    """Return the one name of a GPU, engine or quantization; unknown ones are the user's error."""
    from shardwright.engines import find_engine
    from shardwright.facts.gpus import gpu
    from shardwright.shape.quantization import requested

    if name == "gpu":
        return gpu(value).id
    if name == "engine":
        return find_engine(value).name
    requested(value)
    return value.lower()


def on_basis(basis: Basis, wanted: dict[str, str]) -> bool:
    """Return whether a basis is the one asked for."""
    return all((getattr(basis, name) or "none") == value for name, value in wanted.items())


def _has(layout: Layout | None, wanted: dict[str, int]) -> bool:
    """Return whether a layout has every degree asked for; no layout at all answers for any."""
    return layout is None or all(getattr(layout, name) == v for name, v in wanted.items())
