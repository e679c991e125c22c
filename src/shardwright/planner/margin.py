"""How much tighter than asked a TPOT limit is held, since predictions err. Called by the search.

A choice takes the layout that looks best, and so the one whose error flatters it most; a limit held
exactly would be broken more often than half of the error says. Margins: margin.json, written by
scripts/calibrate.py from predictions of groups left out of the fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from shardwright.model.request import Slo


def tightened(limits: Slo, pairs: Iterable[tuple[str, str]]) -> Slo:
    """Return the limits with ITL divided by the margin of the least known (GPU id, engine) pair.

    >>> tightened(Slo(itl_s=0.1), [("H200-SXM", "vllm")]).itl_s < 0.1
    True
    """
    margin = max((margin_of(*pair) for pair in pairs), default=1.0)
    return replace(limits, itl_s=limits.itl_s / margin) if limits.itl_s else limits


def margin_of(gpu_id: str, engine: str) -> float:
    """Return by what a predicted TPOT is multiplied before it is held against a limit."""
    table = _table()
    known = f"{gpu_id} {engine}" in table["known_pairs"]
    return float(table["known"] if known else table["new"])


@cache
def _table() -> Any:
    text = (resources.files("shardwright.planner") / "margin.json").read_text(encoding="utf-8")
    return json.loads(text)
