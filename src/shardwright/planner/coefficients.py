"""The calibrated numbers of the speed model: a flat table of factors, fitted by scripts/calibrate.

A coefficient is looked up with tags, most general first: `of("layer_s", "vllm", "blackwell")` is
the base value times the deviation of every tag that has one. Deviations are fitted with a penalty
that pulls them to 1, so a tag with little evidence stays near its base.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFit:
    """A user's own correction for one GPU and engine: factors on coefficients, by base name.

    num_points: measured loads it rests on; date: of the fit, as 2026-11-23.
    """

    gpu: str
    engine: str
    factors: tuple[tuple[str, float], ...]
    num_points: int
    date: str


_LOCAL: ContextVar[tuple[LocalFit, ...]] = ContextVar("local fits", default=())


@contextmanager
def using(fits: tuple[LocalFit, ...]) -> Iterator[None]:
    """Let predictions within this context rest on the user's own measurements as well."""
    token = _LOCAL.set(fits)
    try:
        yield
    finally:
        _LOCAL.reset(token)


def use(fits: tuple[LocalFit, ...]) -> None:
    """Let every later prediction of this context rest on the user's own measurements as well."""
    _LOCAL.set(fits)


def local_fit(gpu: str, engine: str) -> LocalFit | None:
    """Return the correction in use for a GPU, by id, and an engine, if there is one."""
    return next((f for f in _LOCAL.get() if (f.gpu, f.engine) == (gpu, engine)), None)


def in_use(gpu: str, engine: str) -> Coefficients:
    """Return the coefficients for a GPU and an engine: packaged, with the user's correction."""
    found = local_fit(gpu, engine)
    return packaged() if found is None else corrected(found.factors)


@lru_cache(maxsize=256)
def corrected(factors: tuple[tuple[str, float], ...]) -> Coefficients:
    """Return the packaged coefficients times factors of base names.

    >>> k, shipped = corrected((("layer_s", 2.0),)), packaged()
    >>> round(k.of("layer_s", "vllm") / shipped.of("layer_s", "vllm"), 6)
    2.0
    """
    shipped = packaged()
    values = dict(shipped.values)
    for name, factor in factors:
        values[name] *= factor
    return Coefficients(values, shipped.matmul_fraction)
