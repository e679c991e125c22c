"""Fitting the speed model to a user's own hardware: a few factors, held near 1 by priors.

What the user's rows can say is small beside what ships, so five factors only, each on a group of
coefficients that one thing moves: memory, arithmetic, launches, links, the way in. Gauss-Newton
steps on the logarithm of predicted over measured TTFT and TPOT, robust, with Gaussian priors; and
whole groups of rows are left out in turn, so that the error shown is of rows the fit never saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shardwright.model.errors import ShardwrightError
from shardwright.model.shape import ModelShape
from shardwright.planner.coefficients import LocalFit, corrected
from shardwright.planner.deployment import Setup, setup_of
from shardwright.planner.latency import run
from shardwright.planner.measured_rows import Measured, Row, agreeing, read_row

Floats = NDArray[np.float64]

KNOBS: tuple[tuple[str, float, tuple[tuple[str, int], ...]], ...] = (
    ("memory bandwidth", 0.15, (("weight_read", 1), ("kv_read", 1), ("expert_read", 1))),
    ("arithmetic", 0.2, (("compute.bf16", 1), ("compute.fp8", 1), ("compute.fp4", 1),
                         ("attention_compute", 1), ("expert_compute", 1))),
    ("launches", 0.3, (("layer_s", 1), ("step_s", 1), ("sequence_s", 1), ("eager_layer_s", 1),
                       ("prefill_s", 1))),
    ("links", 0.3, (("all_reduce_s", 1), ("link_use", -1))),
    ("way in", 0.5, (("first_token_s", 1), ("tokenize_s", 1), ("stream_s", 1))),
)  # fmt: skip
"""Name, prior deviation of its logarithm, and the coefficients it moves with their sign. Deviations
are assumed: how far one site's hardware and network may be from the sites that were fitted."""

NOISE = 0.1
"""Residual, in log units, that a row is expected to have; beyond it a row counts linearly."""
STEP = 0.05
LEAST_POINTS, LEAST_GROUPS = 6, 3
TOO_FAR = 3.0
"""Median ratio of measured to predicted TTFT, or TPOT, beyond which rows are of other hardware than
they say."""
WORTH = 0.95
"""Error on rows it has not seen, over that of what ships, that a fit must come down to; the last
few per cent are of which rows were measured."""
NAMED = 3  # rows that a line names
SECONDS = (0.3e-3, 3e-3)
"""Ratios of measured to predicted that a table in seconds, taken for milliseconds, would have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One GPU and engine. Errors of TTFT and TPOT are mean absolute relative ones: before, after,
    and of rows whose whole group was left out. fit None: refused, for a reason. doubts: rows that
    contradict each other, which are not counted and not fitted to.
    """

    gpu: str
    engine: str
    num_points: int
    num_groups: int
    grouped_by: str
    before: tuple[float, float]
    after: tuple[float, float] | None = None
    held_out: tuple[float, float] | None = None
    factors: tuple[tuple[str, float], ...] = ()
    fit: LocalFit | None = None
    reason: str = ""
    doubts: tuple[str, ...] = ()


def calibrate(
    rows: Sequence[Row], shape_of: Callable[[str], ModelShape], date: str
) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
    """Fit every (GPU, engine) there are rows of. Returns outcomes, and a line per unusable row."""
    groups: dict[tuple[str, str], list[Measured]] = {}
    left_out: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 1):
        name = row.get("id") or f"row {number}"
        try:
            one = read_row({**row, "id": name}, shape_of)
            _predicted([one], np.zeros(len(KNOBS)))  # raises if it cannot be predicted at all
        except (ShardwrightError, ValueError, KeyError) as error:
            what = error.what if isinstance(error, ShardwrightError) else repr(error)
            left_out.setdefault(what, []).append(name)
            continue
        groups.setdefault((one.gpu, one.engine), []).append(one)
    notes = tuple(f"{_some(names)}: {what}" for what, names in left_out.items())
    return tuple(_outcome(k, v, date) for k, v in sorted(groups.items())), notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def factors_of(x: Floats) -> tuple[tuple[str, float], ...]:
    """Turn logarithms of the knobs into factors on coefficients."""
    return tuple(
        (name, float(f"{np.exp(sign * value):.4g}"))
        for value, (_, _, names) in zip(x, KNOBS, strict=True)
        for name, sign in names
    )


def _predicted(rows: Sequence[Measured], x: Floats) -> Floats:
    """Logarithms of predicted TTFT, then of TPOT."""
    k = corrected(factors_of(x))
    setups: dict[tuple[object, ...], Setup] = {}
    out = np.empty((2, len(rows)))
    for i, row in enumerate(rows):
        p = row.point
        key = (*row.deployment, p.expert_parallel, p.kv_cache_dtype, p.engine_version, p.window)
        setup = setups.get(key)
        if setup is None:
            setup = setups[key] = setup_of(row.point, row.shape, k)
        found = run(row.point, setup, k)
        out[:, i] = found.ttft_s, found.tpot_s
    return np.log(out).ravel()


def _outcome(key: tuple[str, str], found: list[Measured], date: str) -> Outcome:
    rows, doubts = agreeing(found)
    if not rows:
        reason = "every row is contradicted by another"
        return Outcome(gpu=key[0], engine=key[1], num_points=0, num_groups=0, grouped_by="loads",
                       before=(0.0, 0.0), reason=reason, doubts=doubts)  # fmt: skip
    measured = np.log([r.ttft_s for r in rows] + [r.tpot_s for r in rows])
    off = _predicted(rows, np.zeros(len(KNOBS))) - measured
    names, grouped_by = _grouping(rows)
    refused = Outcome(
        gpu=key[0],
        engine=key[1],
        num_points=len(rows),
        num_groups=len(set(names)),
        grouped_by=grouped_by,
        before=_errors(off),
        doubts=doubts,
    )
    why = _unfit(refused, off)
    if why:
        return replace(refused, reason=why)
    # two Gauss-Newton steps: the second from where the first one ends
    first = _Line.at(rows, np.zeros(len(KNOBS)), measured)
    line = _Line.at(rows, first.solved(), measured)
    x = line.solved()
    unseen = _errors(_held_out(rows, names, line, measured))
    tried = replace(
        refused,
        factors=tuple(
            (name, float(f"{np.exp(v):.4g}")) for v, (name, _, _) in zip(x, KNOBS, strict=True)
        ),
        after=_errors(_predicted(rows, x) - measured),
        held_out=unseen,
    )
    if sum(unseen) > WORTH * sum(refused.before):
        why = "rows it has not seen are not predicted better than by what ships"
        return replace(tried, reason=why)
    fit = LocalFit(
        gpu=key[0], engine=key[1], factors=factors_of(x), num_points=len(rows), date=date
    )
    return replace(tried, fit=fit)


def _unfit(found: Outcome, off: Floats) -> str:
    """Say why nothing is fitted; empty if it is. off: logarithms of predicted over measured."""
    if found.num_points < LEAST_POINTS or found.num_groups < LEAST_GROUPS:
        return (
            f"too few; measure {LEAST_POINTS} loads at least, {LEAST_GROUPS} of them different "
            "(shardwright bench --sweep)"
        )
    # each by itself: another machine can have the one and be far off the other
    for name, part in zip(("TTFT", "TPOT"), np.split(off, 2), strict=True):
        ratio = float(np.exp(-np.median(part)))
        if SECONDS[0] < ratio < SECONDS[1]:
            return f"measured {name} is {ratio:.2g} times predicted: is it in milliseconds?"
        if not 1 / TOO_FAR <= ratio <= TOO_FAR:
            return (
                f"measured {name} is {ratio:.2g} times predicted: are these rows of {found.gpu}? "
                "Remove them from the records if not"
            )
    return ""


@dataclass(frozen=True, slots=True)
class _Line:
    """The residuals as a linear function of the knobs: off + slopes x."""

    off: Floats
    slopes: Floats

    @classmethod
    def at(cls, rows: list[Measured], x: Floats, measured: Floats) -> _Line:
        """Linearise at x."""
        here = _predicted(rows, x) - measured
        slopes = np.empty((len(here), len(KNOBS)))
        for j in range(len(KNOBS)):
            moved = _predicted(rows, x + STEP * np.eye(len(KNOBS))[j]) - measured
            slopes[:, j] = (moved - here) / STEP
        return cls(here - slopes @ x, slopes)

    def solved(self, keep: NDArray[np.bool_] | None = None) -> Floats:
        """Minimise the robust loss of the kept rows, with the priors: reweighted least squares."""
        off, slopes = (
            (self.off, self.slopes) if keep is None else (self.off[keep], self.slopes[keep])
        )
        pull = np.diag(1 / np.array([sd for _, sd, _ in KNOBS]) ** 2)
        x: Floats = np.zeros(len(KNOBS))
        for _ in range(20):
            left = off + slopes @ x
            weights = 1 / (NOISE**2 * np.sqrt(1 + (left / NOISE) ** 2))
            system = slopes.T @ (weights[:, None] * slopes) + pull
            x = np.asarray(-np.linalg.solve(system, slopes.T @ (weights * off)))
        return x


def _held_out(rows: list[Measured], names: list[object], line: _Line, measured: Floats) -> Floats:
    """Residuals of each group, predicted by the fit of all others."""
    out = np.empty(len(measured))
    for name in dict.fromkeys(names):
        inside = np.array([n == name for n in names] * 2)
        some = [row for row, n in zip(rows, names, strict=True) if n == name]
        out[inside] = _predicted(some, line.solved(~inside)) - measured[inside]
    return out


def _grouping(rows: list[Measured]) -> tuple[list[object], str]:
    """Leave out whole deployments where there are enough of them, else whole loads of one."""
    deployments: list[object] = [row.deployment for row in rows]
    if len(set(deployments)) >= LEAST_GROUPS:
        return deployments, "deployments"
    return [row.load for row in rows], "loads"


def _errors(off: Floats) -> tuple[float, float]:
    """Mean absolute relative error of TTFT and of TPOT."""
    sizes = np.abs(np.expm1(off)).reshape(2, -1).mean(axis=1)
    return float(sizes[0]), float(sizes[1])
