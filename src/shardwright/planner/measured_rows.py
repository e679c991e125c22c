"""Rows of a user's own measurements, read for a calibration; rows that contradict each other go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from shardwright.facts.gpus import gpu
from shardwright.model.errors import usage_error
from shardwright.model.shape import ModelShape
from shardwright.planner.deployment import engine_of
from shardwright.planner.point import Point, point_of

Row = Mapping[str, str]

DIFFER = 1.5
"""Ratio of two measurements of one load beyond which it is said: four times the noise of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of one load; times in seconds. gpu, engine: as they are calibrated."""

    point: Point
    shape: ModelShape
    gpu: str
    engine: str
    ttft_s: float
    tpot_s: float

    @property
    def deployment(self) -> tuple[object, ...]:
        """What is measured, whatever the load."""
        p = self.point
        return (p.model, p.dtype, p.quantization, p.tensor_parallel, p.pipeline_parallel)

    @property
    def load(self) -> tuple[object, ...]:
        """The load it was measured under."""
        return (self.point.concurrency, self.point.request_rate, self.point.isl, self.point.osl)


def read_row(row: Row, shape_of: Callable[[str], ModelShape]) -> Measured:
    """Read a row. Raises ShardwrightError for what is not a time, or not known."""
    point = point_of(row)
    ttft, tpot = _seconds(row, "ttft_ms"), _seconds(row, "tpot_ms")
    return Measured(
        point=point,
        shape=shape_of(point.model),
        gpu=gpu(point.gpu).id,
        engine=engine_of(point.engine),
        ttft_s=ttft,
        tpot_s=tpot,
    )


def _seconds(row: Row, column: str) -> float:
    text = (row.get(column) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise usage_error(
            "point-not-a-number",
            f"column {column} is {repr(text) if text else 'empty'}, and not a time",
            remedy="write what was measured, in milliseconds",
        )
    return value / 1e3


def agreeing(rows: list[Measured]) -> tuple[list[Measured], tuple[str, ...]]:
    """Leave out rows that ask the same and are answered differently: none of them can be believed
    more than another. Returns the rest, and which rows are left out.
    """
    same: dict[Point, list[Measured]] = {}
    for row in rows:
        same.setdefault(replace(row.point, id=""), []).append(row)
    doubts, bad = [], set()
    for asked, those in same.items():
        for which, name in enumerate(("TTFT", "TPOT")):
            times = sorted(((row.ttft_s, row.tpot_s)[which], row.point.id) for row in those)
            (low, quick), (high, slow) = times[0], times[-1]
            if high > DIFFER * low:
                bad.add(asked)
                doubts.append(
                    f"{slow} and {quick} are of one load and differ {high / low:.1f} times in "
                    f"{name}; remove the one that was disturbed"
                )
    return [row for row in rows if replace(row.point, id="") not in bad], tuple(doubts)
