#!/usr/bin/env python3
"""Fit the speed model's coefficients to measured rows, and test it on groups it has not seen.

    make calibrate        fit all rows, write src/shardwright/planner/calibration.json
    make cross-validate   fit without each group in turn, write docs/accuracy.md

Needs numpy and shardwright; with numba (compiled replay) a fit takes a minute, without an hour.
Method: Gauss-Newton on the logarithms of predicted over measured TTFT and TPOT, with a robust loss
and a Gaussian prior on the logarithm of every coefficient (calibration/priors.json).
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from pathlib import Path

import accuracy_tables
import numpy as np

from shardwright.facts.models import load as _config  # noqa: F401  fails early if facts are absent
from shardwright.planner import latency, simulate
from shardwright.planner.coefficients import Coefficients
from shardwright.planner.point import point_of

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "calibration" / "measurements"
TTFT_SCALE, TPOT_SCALE = 0.15, 0.08
"""Residuals in log units beyond which a row counts linearly, not quadratically."""
ROWS_PER_GROUP = 15
"""A (model, dtype, GPU, engine) group counts as at most this many rows."""
PRIOR_WEIGHT = 1.0

try:
    from numba import njit

    REPLAY = njit(simulate.replay)
except ImportError:
    REPLAY = simulate.replay


class Row:
    """One measured row: its point, what was measured, and what does not depend on coefficients."""

    def __init__(self, raw: dict[str, str], kind: str) -> None:
        self.point = point_of(raw)
        self.ttft_s = float(raw["ttft_ms"]) / 1e3
        self.tpot_s = float(raw["tpot_ms"]) / 1e3
        self.kind = kind
        p = self.point
        self.model = p.model.split("/")[-1]
        self.family = self.model.replace("DeepSeek-R1", "DeepSeek-V3")
        self.gpu, self.engine = latency.gpu(p.gpu).id, latency.engine_of(p.engine)
        self.pair = f"{self.gpu} {self.engine}"
        self.shape = latency._shape(p.model)
        self.setup_key = (
            p.model, p.dtype, self.gpu, self.engine, p.engine_version, p.tensor_parallel,
            p.expert_parallel, p.attention_dp, p.kv_cache_dtype, p.window,
        )  # fmt: skip
        self.load = None


def rows() -> list[Row]:
    """Read the measured rows: published campaigns, and our own steady-state runs on an H200."""
    out = []
    with (MEASURED / "latency.csv").open(newline="") as file:
        out += [Row(raw, "published") for raw in csv.DictReader(file)]
    with (MEASURED / "h200_latency.csv").open(newline="") as file:
        for raw in csv.DictReader(file):
            if "no HTTP" not in raw["how"]:
                continue
            raw |= {
                "engine": "vllm", "engine_version": raw["vllm_version"], "window": "steady",
                "ttft_ms": raw["ttft_ms_mean"], "tpot_ms": raw["tpot_ms_mean"],
                "kv_cache_dtype": "bf16",
            }  # fmt: skip
            out.append(Row(raw, "own"))
    return out


def predict(data: list[Row], k: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted TTFT and TPOT in seconds."""
    setups: dict[tuple, latency.Setup] = {}
    ttft, tpot = np.empty(len(data)), np.empty(len(data))
    for i, row in enumerate(data):
        setup = setups.get(row.setup_key)
        if setup is None:
            setup = setups[row.setup_key] = latency.setup_of(row.point, row.shape, k)
        if row.load is None:
            r = latency.replay_of(row.point, setup, k)
            lists = (r.load.prompts, r.load.outputs, r.load.behind, r.load.due)
            row.load = (r.loop, [np.array(x) for x in lists], r.slots_per_batch, r.load.burst_share)
        loop, lists, first, share = row.load
        t = setup.table
        rates = (t.kv_s, t.pair_s, t.seq_s, t.gap_s, t.prefill_floor_s, t.prefill_gap_s,
                 k.of("lookahead", setup.engine, setup.era))  # fmt: skip
        a, b, *_ = REPLAY(t.tokens, t.head, rates, loop, *lists)
        ttft[i] = latency.mean_over_run(a, first, share) + latency.fixed_ttft_s(row.point, setup, k)
        tpot[i] = latency.mean_over_run(b, first, share)
    return ttft, tpot


def robust(r: np.ndarray, scale: float) -> np.ndarray:
    """Residual whose square is the pseudo-Huber loss."""
    return np.sign(r) * np.sqrt(2 * (np.sqrt(1 + (r / scale) ** 2) - 1))


class Fit:
    """Coefficients as a vector of logarithms, with their priors."""

    def __init__(self, priors: dict, weight: float = PRIOR_WEIGHT, limit: int = 30) -> None:
        self.limit = limit
        self.names = list(priors["coefficients"])
        entries = priors["coefficients"].values()
        self.mean = np.log([e["value"] for e in entries])
        self.sd = np.array([e["sd"] for e in entries])
        self.matmul = priors["matmul_fraction"]
        self.weight = weight

    def coefficients(self, x: np.ndarray) -> Coefficients:
        """Return a table from a vector."""
        return Coefficients(dict(zip(self.names, np.exp(x).tolist(), strict=True)), self.matmul)

    def run(self, data: list[Row], iterations: int) -> np.ndarray:
        """Fit the rows, starting from the priors."""
        problem = Problem(self, thinned(data, self.limit))
        x = self.mean.copy()
        r = problem.residuals(x)
        best = problem.cost(r, x)
        for _ in range(iterations):
            jacobian = problem.jacobian(x, r)
            normal, pull = jacobian.T @ jacobian, self.weight / self.sd**2
            gradient = jacobian.T @ r + pull * (x - self.mean)
            damping, before = 0.1, best
            while damping < 1e3:
                system = normal + np.diag(pull + damping * (np.diag(normal) + 1e-3))
                y = x + np.clip(-np.linalg.solve(system, gradient), -0.5, 0.5)
                ry = problem.residuals(y)
                if problem.cost(ry, y) < best:
                    x, r, best = y, ry, problem.cost(ry, y)
                    break
                damping *= 5
            if before - best < 0.003 * before:
                break
        return x

    def packaged(self) -> np.ndarray:
        """Return the coefficients that ship."""
        path = ROOT / "src/shardwright/planner/calibration.json"
        entries = json.loads(path.read_text())["coefficients"]
        return np.log([entries[name]["value"] for name in self.names])


class Problem:
    """Weighted residuals of some rows as a function of the coefficients."""

    def __init__(self, fit: Fit, data: list[Row]) -> None:
        self.fit, self.data = fit, data
        sizes = Counter((r.model, r.point.dtype, r.pair, r.kind) for r in data)
        counts = np.array([sizes[r.model, r.point.dtype, r.pair, r.kind] for r in data])
        self.weights = np.sqrt(np.minimum(1, ROWS_PER_GROUP / counts))
        self.log_ttft = np.log([r.ttft_s for r in data])
        self.log_tpot = np.log([r.tpot_s for r in data])

    def residuals(self, x: np.ndarray, some: np.ndarray | None = None) -> np.ndarray:
        use = np.ones(len(self.data), dtype=bool) if some is None else some
        chosen = [row for row, keep in zip(self.data, use, strict=True) if keep]
        ttft, tpot = predict(chosen, self.fit.coefficients(x))
        off_ttft = robust(np.log(ttft) - self.log_ttft[use], TTFT_SCALE)
        off_tpot = robust(np.log(tpot) - self.log_tpot[use], TPOT_SCALE)
        return np.concatenate(
            [0.8 * self.weights[use] * off_ttft, 1.3 * self.weights[use] * off_tpot]
        )

    def cost(self, r: np.ndarray, x: np.ndarray) -> float:
        prior = (((x - self.fit.mean) / self.fit.sd) ** 2).sum()
        return float(r @ r + self.fit.weight * prior)

    def jacobian(self, x: np.ndarray, r: np.ndarray) -> np.ndarray:
        out = np.zeros((len(r), len(x)))
        for j, name in enumerate(self.fit.names):
            some = touched(name, self.data)
            where = np.concatenate([some, some])
            if where.any():
                moved = self.residuals(x + 0.02 * np.eye(len(x))[j], some)
                out[where, j] = (moved - r[where]) / 0.02
        return out


def without(fit: Fit, jacobian: np.ndarray, r: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Return the coefficients fitted to the kept rows alone: a Gauss-Newton step on the problem
    linearised at the shipped coefficients, exact as far as residuals are linear in them.
    """
    x = fit.packaged()
    rows_kept = np.concatenate([keep, keep])
    some, off = jacobian[rows_kept], r[rows_kept]
    pull = fit.weight / fit.sd**2
    gradient = some.T @ off + pull * (x - fit.mean)
    return x - np.linalg.solve(some.T @ some + np.diag(pull), gradient)


def thinned(data: list[Row], limit: int) -> list[Row]:
    """Keep at most `limit` rows of a group, evenly spread: the rest weigh little and cost as
    much.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in data:
        groups.setdefault((row.model, row.point.dtype, row.pair, row.kind), []).append(row)
    kept = []
    for group in groups.values():
        every = max(1.0, len(group) / limit)
        kept += [group[int(i * every)] for i in range(int(len(group) / every))]
    return kept


def touched(name: str, data: list[Row]) -> np.ndarray:
    """Return which rows a coefficient can change: those of its tag's engine or GPU family."""
    tag = name.partition(":")[2]
    if tag in {"vllm", "sglang", "trtllm"}:
        return np.array([r.engine == tag for r in data])
    if tag.startswith("vllm-"):
        return np.array([r.engine == "vllm" for r in data])
    if tag in {"hopper", "blackwell"}:
        return np.array([latency.architecture_of(latency.gpu(r.gpu)) == tag for r in data])
    if tag == "in-process":
        return np.array([r.kind == "own" for r in data])
    return np.ones(len(data), dtype=bool)


def write_calibration(fit: Fit, x: np.ndarray, data: list[Row]) -> None:
    """Write the packaged table."""
    priors = json.loads((ROOT / "calibration" / "priors.json").read_text())
    out = {
        "about": "Fitted by scripts/calibrate.py; do not edit. Names and units: docs/planner.md.",
        "rows": dict(sorted(Counter(r.pair for r in data).items())),
        "matmul_fraction": priors["matmul_fraction"],
        "coefficients": {
            name: {
                "value": float(f"{np.exp(v):.4g}"),
                "prior": priors["coefficients"][name]["value"],
            }
            for name, v in zip(fit.names, x, strict=True)
        },
    }
    path = ROOT / "src/shardwright/planner/calibration.json"
    path.write_text(json.dumps(out, indent=1, sort_keys=True) + "\n")


GROUPINGS = {
    "pair": ("one (GPU, engine) pair", lambda r: r.pair),
    "model": ("one model family", lambda r: r.family),
    "gpu": ("one GPU", lambda r: r.gpu),
}


def write_page(data: list[Row]) -> None:
    """Write docs/accuracy.md from the predictions of held-out groups that are on file."""
    sections = []
    for name, (title, key) in GROUPINGS.items():
        path = ROOT / "calibration" / "held-out" / f"{name}.csv"
        if not path.exists():
            continue
        with path.open(newline="") as file:
            found = {raw["id"]: raw for raw in csv.DictReader(file)}
        ttft = np.array([float(found[r.point.id]["ttft_ms"]) / 1e3 for r in data])
        tpot = np.array([float(found[r.point.id]["tpot_ms"]) / 1e3 for r in data])
        sections.append((name, title, key, data, ttft, tpot))
    accuracy_tables.write(ROOT / "docs" / "accuracy.md", sections)


def main() -> None:
    """Fit, or cross-validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cross-validate", nargs="*", choices=list(GROUPINGS), default=None)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--prior-weight", type=float, default=PRIOR_WEIGHT)
    parser.add_argument("--limit", type=int, default=30, help="rows of a group used in a fit")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument("--page", action="store_true", help="only write docs/accuracy.md anew")
    args = parser.parse_args()
    data = rows()
    if args.page:
        write_page(data)
        return
    fit = Fit(
        json.loads((ROOT / "calibration" / "priors.json").read_text()),
        args.prior_weight,
        args.limit,
    )
    if args.cross_validate is None:
        x = fit.run(data, args.iterations)
        ttft, tpot = predict(data, fit.coefficients(x))
        print(accuracy_tables.table(data, ttft, tpot, lambda r: r.pair))
        if not args.dry_run:
            write_calibration(fit, x, data)
        return
    problem = Problem(fit, thinned(data, args.limit))
    x = fit.packaged()
    r = problem.residuals(x)
    jacobian = problem.jacobian(x, r)
    for name in args.cross_validate or list(GROUPINGS):
        _, key = GROUPINGS[name]
        ttft, tpot = np.empty(len(data)), np.empty(len(data))
        for group in sorted({key(row) for row in data}):
            keep = np.array([key(row) != group for row in problem.data])
            y = without(fit, jacobian, r, keep)
            inside = np.array([key(row) == group for row in data])
            unseen = [row for row in data if key(row) == group]
            ttft[inside], tpot[inside] = predict(unseen, fit.coefficients(y))
        print(accuracy_tables.table(data, ttft, tpot, key), flush=True)
        print(accuracy_tables.choices(data, ttft, tpot), flush=True)
        held_out = ROOT / "calibration" / "held-out" / f"{name}.csv"
        held_out.parent.mkdir(exist_ok=True)
        with held_out.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "ttft_ms", "tpot_ms"])
            writer.writerows(
                (r.point.id, f"{a * 1e3:.3f}", f"{b * 1e3:.4f}")
                for r, a, b in zip(data, ttft, tpot, strict=True)
            )
    if not args.dry_run:
        write_page(data)


if __name__ == "__main__":
    main()
