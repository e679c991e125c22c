"""Measured rows and the fit of the speed model's coefficients to them, for scripts/calibrate.py.

Gauss-Newton on the logarithms of predicted over measured TTFT and TPOT, with a robust loss and a
Gaussian prior on the logarithm of every coefficient (calibration/priors.json).
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np

from shardwright.planner import deployment, replaying, simulate
from shardwright.planner.capacity import room_of
from shardwright.planner.coefficients import Coefficients
from shardwright.planner.point import point_of
from shardwright.planner.steptime import architecture_of

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "calibration" / "measurements"
PACKAGED = ROOT / "src/shardwright/planner/calibration.json"
TTFT_SCALE, TPOT_SCALE = 0.15, 0.08
"""Residuals in log units beyond which a row counts linearly, not quadratically."""
TTFT_WEIGHT, TPOT_WEIGHT = 0.8, 1.3
ROWS_PER_GROUP = 15
"""A (model, dtype, GPU, engine) group counts as at most this many rows."""
MOST_ROWS = 30
"""Rows of such a group that a fit reads: the rest weigh little and cost as much."""
CONVERGED = 5e-4
"""Share of the loss by which a step must lower it, else the fit has converged."""
STEP = 0.02
"""Difference of a coefficient's logarithm that derivatives are taken over."""

try:
    from numba import njit

    REPLAY = njit(simulate.replay)
except ImportError:
    REPLAY = simulate.replay


class Row:
    """One measured row: its point, what was measured, and what does not depend on coefficients."""

    def __init__(self, raw: dict[str, str], kind: str) -> None:
        self.point = p = point_of(raw)
        self.ttft_s = float(raw["ttft_ms"]) / 1e3
        self.tpot_s = float(raw["tpot_ms"]) / 1e3
        self.kind = kind
        self.model = p.model.split("/")[-1]
        self.family = self.model.replace("DeepSeek-R1", "DeepSeek-V3")
        self.shape = deployment.shape_of(p.model)
        self.setting = deployment.setting_of(p, self.shape)
        self.gpu, self.engine = self.setting.gpu.id, self.setting.engine
        self.pair = f"{self.gpu} {self.engine}"
        self.group = (self.model, p.dtype, self.pair, self.kind)
        self.layout = (
            f"TP{p.tensor_parallel} EP{p.expert_parallel} DP{p.attention_dp}" + f" {p.dtype}"
        )
        self.setup_key = (*self.group, self.layout, p.engine_version, p.kv_cache_dtype, p.window)
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


_ROOMS: dict = {}


def _setup(row: Row, k: Coefficients) -> deployment.Setup:
    """Tabulate step times; the KV cache does not depend on coefficients and is sized once."""
    room = _ROOMS.get(row.setup_key)
    if room is None:
        dtype = deployment.dtype_of(row.point, row.shape)
        room = _ROOMS[row.setup_key] = room_of(row.point, row.setting, row.shape, dtype)
    return deployment.prepared(row.setting, row.shape, k, room)


def predict(data: list[Row], k: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted TTFT and TPOT in seconds."""
    setups: dict[tuple, deployment.Setup] = {}
    ttft, tpot = np.empty(len(data)), np.empty(len(data))
    for i, row in enumerate(data):
        setup = setups.get(row.setup_key)
        if setup is None:
            setup = setups[row.setup_key] = _setup(row, k)
        if row.load is None:
            r = replaying.replay_of(row.point, setup, k)
            lists = (r.load.prompts, r.load.outputs, r.load.behind, r.load.due)
            row.load = (r.loop, [np.array(x) for x in lists], r.slots, r.load.burst_share)
        loop, lists, first, share = row.load
        t = setup.table
        rates = (t.kv_s, t.pair_s, t.seq_s, t.gap_s, t.prefill_floor_s, t.prefill_gap_s,
                 k.of("lookahead", setup.engine, setup.era))  # fmt: skip
        a, b, *_ = REPLAY(t.tokens, t.head, rates, loop, *lists)
        ttft[i] = replaying.mean_over_run(a, first, share)
        ttft[i] += replaying.fixed_ttft_s(row.point, setup, k)
        tpot[i] = replaying.mean_over_run(b, first, share)
    return ttft, tpot


def thinned(data: list[Row], limit: int = MOST_ROWS) -> list[Row]:
    """Keep at most `limit` rows of a group, evenly spread."""
    groups: dict[tuple, list[Row]] = {}
    for row in data:
        groups.setdefault(row.group, []).append(row)
    kept = []
    for group in groups.values():
        every = max(1.0, len(group) / limit)
        kept += [group[int(i * every)] for i in range(int(len(group) / every))]
    return kept


class Problem:
    """Rows to be fitted and the priors: residuals and loss as functions of the coefficients'
    logarithms.
    """

    def __init__(self, priors: dict, data: list[Row]) -> None:
        entries = priors["coefficients"]
        self.names = list(entries)
        self.mean = np.log([e["value"] for e in entries.values()])
        self.sd = np.array([e["sd"] for e in entries.values()])
        self.matmul = priors["matmul_fraction"]
        self.data = data
        sizes = Counter(r.group for r in data)
        weights = np.sqrt([min(1.0, ROWS_PER_GROUP / sizes[r.group]) for r in data])
        self.weights = np.concatenate([TTFT_WEIGHT * weights, TPOT_WEIGHT * weights])
        self.scales = np.repeat([TTFT_SCALE, TPOT_SCALE], len(data))
        self.measured = np.log([r.ttft_s for r in data] + [r.tpot_s for r in data])

    def of_rows(self, keep: np.ndarray) -> Problem:
        """Return the problem of some of the rows."""
        kept = [row for row, use in zip(self.data, keep, strict=True) if use]
        priors = {
            "coefficients": {
                n: {"value": float(np.exp(m)), "sd": s}
                for n, m, s in zip(self.names, self.mean, self.sd, strict=True)
            },
            "matmul_fraction": self.matmul,
        }
        return Problem(priors, kept)

    def coefficients(self, x: np.ndarray) -> Coefficients:
        """Return a table from a vector of logarithms."""
        return Coefficients(dict(zip(self.names, np.exp(x).tolist(), strict=True)), self.matmul)

    def logs(self, x: np.ndarray, some: np.ndarray | None = None) -> np.ndarray:
        """Return the logarithms of predicted TTFT, then TPOT, of all rows or some."""
        data = self.data
        if some is not None:
            data = [row for row, use in zip(data, some, strict=True) if use]
        return np.log(np.concatenate(predict(data, self.coefficients(x))))

    def residuals(self, logs: np.ndarray) -> np.ndarray:
        """Return weighted residuals whose squares are the pseudo-Huber loss."""
        off = (logs - self.measured) / self.scales
        return self.weights * np.sign(off) * np.sqrt(2 * (np.sqrt(1 + off**2) - 1))

    def slopes(self, logs: np.ndarray) -> np.ndarray:
        """Return the derivatives of the residuals by the logarithms."""
        off = (logs - self.measured) / self.scales
        root = np.sqrt(1 + off**2)
        return self.weights / self.scales * np.sqrt((root + 1) / 2) / root

    def loss(self, logs: np.ndarray, x: np.ndarray) -> float:
        """Return the robust loss and the penalty of leaving the priors."""
        r = self.residuals(logs)
        return float(r @ r + (((x - self.mean) / self.sd) ** 2).sum())

    def jacobian(self, x: np.ndarray, logs: np.ndarray) -> np.ndarray:
        """Return the derivatives of the predictions' logarithms; no measurement enters."""
        out = np.zeros((len(logs), len(x)))
        for j, name in enumerate(self.names):
            some = touched(name, self.data)
            where = np.concatenate([some, some])
            if where.any():
                moved = self.logs(x + STEP * np.eye(len(x))[j], some)
                out[where, j] = (moved - logs[where]) / STEP
        return out


def descend(
    problem: Problem, x: np.ndarray, jacobian: np.ndarray, most: int = 40
) -> tuple[np.ndarray, float]:
    """Lower the loss from x until it converges. The derivatives given are corrected by what each
    step really did (Broyden), so that none has to be taken again.
    """
    jacobian, logs = jacobian.copy(), problem.logs(x)
    best, pull, damping = problem.loss(logs, x), problem.sd**-2.0, 0.03
    misses = 0
    for _ in range(most):
        weighted = problem.slopes(logs)[:, None] * jacobian
        normal = weighted.T @ weighted
        gradient = weighted.T @ problem.residuals(logs) + pull * (x - problem.mean)
        system = normal + np.diag(pull + damping * (np.diag(normal) + 1e-3))
        step = np.clip(-np.linalg.solve(system, gradient), -0.5, 0.5)
        new = problem.logs(x + step)
        miss = new - logs - jacobian @ step
        jacobian += np.outer(miss, step) / (step @ step)
        loss = problem.loss(new, x + step)
        if loss >= best:
            damping, misses = damping * 5, misses + 1
            if misses > 3:
                break
            continue
        gain = (best - loss) / best
        x, logs, best = x + step, new, loss
        damping, misses = damping / 3, 0
        if gain < CONVERGED:
            break
    return x, best


def touched(name: str, data: list[Row]) -> np.ndarray:
    """Return which rows a coefficient can change: those of its tag's engine or GPU family."""
    tag = name.partition(":")[2]
    if tag in {"vllm", "sglang", "trtllm"}:
        return np.array([r.engine == tag for r in data])
    if tag.startswith("vllm-"):
        return np.array([r.setting.era == tag for r in data])
    if tag in {"hopper", "blackwell", "amd", "workstation"}:
        return np.array([architecture_of(r.setting.gpu) == tag for r in data])
    if tag == "in-process":
        return np.array([r.kind == "own" for r in data])
    if tag == "block":
        return np.array([r.setting.scales == tag for r in data])
    return np.ones(len(data), dtype=bool)


def packaged(names: list[str]) -> np.ndarray:
    """Return the coefficients that ship, as logarithms."""
    entries = json.loads(PACKAGED.read_text())["coefficients"]
    return np.log([entries[name]["value"] for name in names])
