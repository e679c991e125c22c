"""The calibrated numbers of the speed model: a flat table of factors, fitted by scripts/calibrate.

A coefficient is looked up with tags, most general first: `of("layer_s", "vllm", "blackwell")` is
the base value times the deviation of every tag that has one. Deviations are fitted with a penalty
that pulls them to 1, so a tag with little evidence stays near its base.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Coefficients:
    """values: name or name:tag to factor. matmul_fraction: GPU id to rate to share of peak."""

    values: Mapping[str, float]
    matmul_fraction: Mapping[str, Mapping[str, float]]

    def of(self, name: str, *tags: str) -> float:
        """Return a coefficient with the deviations of its tags.

        >>> Coefficients({"a": 2.0, "a:vllm": 1.5}, {}).of("a", "vllm", "blackwell")
        3.0
        """
        value = self.values[name]
        for tag in tags:
            value *= self.values.get(f"{name}:{tag}", 1.0)
        return value

    def fraction_of_peak(self, gpu_id: str, rate: str) -> float:
        """Return the share of the data-sheet peak that the best matrix product reaches.

        Source: measured maxima per GPU (ml-engineering's MAMF tables); `default` for the rest.
        """
        table = self.matmul_fraction.get(gpu_id, {})
        return table.get(rate) or self.matmul_fraction["default"][rate]


@cache
def packaged() -> Coefficients:
    """Return the calibration that ships with the package."""
    text = (resources.files("shardwright.planner") / "calibration.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    return Coefficients(
        {name: entry["value"] for name, entry in raw["coefficients"].items()},
        raw["matmul_fraction"],
    )
