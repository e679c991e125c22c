"""Error tables of the speed model, as Markdown. Used by scripts/calibrate.py."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from shardwright.planner.latency import predict
from shardwright.planner.point import point_of

HEADER = (
    "| group | rows | TTFT mean | median | bias | TPOT mean | median | bias "
    "| request mean | median | bias |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
)
INTRO = """# How far off the speed predictions are

Written by `make cross-validate`; every figure but those of maximum load is a prediction of rows
whose whole group was left out of the fit, which was made anew from the priors without them.
Pairs of GPU and engine: the first table stands for new ones, the last for known ones. What no
refit undoes: the model's terms and prior widths were chosen while looking at these errors.
Errors are absolute percentage errors, `bias` is the median signed error (positive: predicted too
slow). `request` is TTFT + (OSL - 1) x TPOT. Rows: `calibration/measurements/`; `own` are
steady-state runs on one H200, `published` include the first burst.

"""


def errors(rows: list, ttft: np.ndarray, tpot: np.ndarray) -> np.ndarray:
    """Return signed relative errors of TTFT, TPOT and the whole request, one row each."""
    m_ttft = np.array([r.ttft_s for r in rows])
    m_tpot = np.array([r.tpot_s for r in rows])
    osl = np.array([(r.point.osl_mean or r.point.osl) - 1 for r in rows])
    whole = (ttft + osl * tpot) / (m_ttft + osl * m_tpot)
    return np.vstack([ttft / m_ttft, tpot / m_tpot, whole]) - 1


def summary(rows: list, ttft: np.ndarray, tpot: np.ndarray) -> list[float]:
    """Return mean, median and bias in percent of the three errors."""
    out = []
    for e in 100 * errors(rows, ttft, tpot):
        out += [np.abs(e).mean(), np.median(np.abs(e)), np.median(e)]
    return [round(float(v), 1) for v in out]


def table(rows: list, ttft: np.ndarray, tpot: np.ndarray, key) -> str:
    """Return a Markdown table by group, and the line over all rows."""
    lines = [HEADER]
    for group in [*sorted({key(r) for r in rows}), None]:
        inside = np.array([group is None or key(r) == group for r in rows])
        some = [r for r, keep in zip(rows, inside, strict=True) if keep]
        cells = summary(some, ttft[inside], tpot[inside])
        text = [f"{v:+.1f}" if i % 3 == 2 else f"{v:.1f}" for i, v in enumerate(cells)]
        name = "**all**" if group is None else group
        lines.append(f"| {name} | {len(some)} | " + " | ".join(text) + " |\n")
    return "".join(lines)


TPOT_LIMITS_MS = (8, 10, 15, 20, 30, 50)


def choices(
    rows: list, ttft: np.ndarray, tpot: np.ndarray, margin: float
) -> tuple[int, float, float]:
    """Return (cases, share of limits broken, share of throughput given away else).

    For each workload with several measured layouts, the layout and load of most tokens/s per GPU
    predicted under a TPOT limit is chosen, and judged by what was measured. margin: factor on
    predicted TPOT before it is held against the limit.
    """
    groups: dict[tuple, list[int]] = {}
    for i, r in enumerate(rows):
        p = r.point
        if r.kind == "published":
            key = (r.model, p.dtype, r.pair, p.engine_version, p.isl, p.osl)
            groups.setdefault(key, []).append(i)

    def rate(i: int, first: float, later: float) -> float:
        p = rows[i].point
        osl = p.osl_mean or p.osl
        gpus = p.tensor_parallel * p.pipeline_parallel
        return p.concurrency * osl / (first + (osl - 1) * later) / gpus

    broken, lost, cases = 0, [], 0
    for members in groups.values():
        layouts = {rows[i].point.tensor_parallel for i in members}
        for limit in TPOT_LIMITS_MS if len(layouts) > 1 else ():
            able = [i for i in members if rows[i].tpot_s * 1e3 <= limit]
            chosen = [i for i in members if margin * tpot[i] * 1e3 <= limit]
            if not able or not chosen or len(able) == len(members):
                continue
            cases += 1
            pick = max(chosen, key=lambda i: rate(i, ttft[i], tpot[i]))
            if rows[pick].tpot_s * 1e3 > limit:
                broken += 1
                continue
            best = max(rate(i, rows[i].ttft_s, rows[i].tpot_s) for i in able)
            lost.append(1 - rate(pick, rows[pick].ttft_s, rows[pick].tpot_s) / best)
    return cases, broken / max(cases, 1), float(np.mean(lost))


CHOICE_HEADER = (
    "| margin on TPOT | cases | limit broken | else throughput given away |\n|---|---|---|---|\n"
)
MARGINS = (1.0, 1.01, 1.02, 1.03, 1.04, 1.05)


def choice_table(rows: list, ttft: np.ndarray, tpot: np.ndarray) -> str:
    """Return the choice at several margins, as Markdown."""
    limits = ", ".join(map(str, TPOT_LIMITS_MS))
    lines = [f"Choosing layout and load under a TPOT limit ({limits} ms):\n\n", CHOICE_HEADER]
    for margin in MARGINS:
        cases, broken, lost = choices(rows, ttft, tpot, margin)
        lines.append(f"| {margin - 1:.0%} | {cases} | {broken:.1%} | {lost:.1%} |\n")
    return "".join(lines) + "\n"


MOST_BROKEN = 0.10
"""Share of limits that may be broken in the rows at hand: 12 % are asked of the planner, and the
margin is chosen on the rows it is judged by."""


def least_margin(rows: list, ttft: np.ndarray, tpot: np.ndarray) -> float:
    """Return the least margin with which fewer limits are broken than may be."""
    for margin in MARGINS:
        if choices(rows, ttft, tpot, margin)[1] < MOST_BROKEN:
            return margin
    return MARGINS[-1]


MAXIMUM_LOAD = """## Maximum load, and pipeline stages

TensorRT-LLM's offline runs (`throughput.csv`), output tokens/s, predicted by the shipped
calibration, which is not fitted to them. Three workstation factors and the share of a sequence's
cost were read off PP=1 rows, with the errors at PP=2 in sight; no row has PP=4 or 8. Positive bias:
predicted too fast.

| PP | TP | model | GPU | rows | mean | median | bias |
|---|---|---|---|---|---|---|---|
"""
LOADS = "calibration/measurements/throughput.csv"


def maximum_load() -> str:
    """Return errors of output tokens per second at maximum load, by pipeline stages."""
    groups: dict[tuple[str, ...], list[float]] = {}
    with (Path(__file__).resolve().parent.parent / LOADS).open(newline="") as file:
        for raw in csv.DictReader(file):
            found = predict(point_of(raw)).output_tokens_per_s
            error = found / float(raw["output_tokens_s_total"]) - 1
            key = (raw["pp"], raw["tp"], raw["model"].split("/")[-1], raw["gpu"])
            groups.setdefault(key, []).append(error)
    lines = [MAXIMUM_LOAD]
    for (pp, tp, model, gpu), errors_ in sorted(groups.items()):
        e = 100 * np.array(errors_)
        lines.append(
            f"| {pp} | {tp} | {model} | {gpu} | {len(e)} | {np.abs(e).mean():.1f} | "
            f"{np.median(np.abs(e)):.1f} | {np.median(e):+.1f} |\n"
        )
    return "".join(lines)


STAGES = """## Own runs on H100: ranks against stages, and FP8

vLLM 0.25.1 on one, two and four H100 (`h100_latency.csv`, own runs at steady state; not fitted).
Error: predicted by the shipped calibration over measured. A prompt in one of the batches that take
turns holds up all of them, which is what the rows with stages show. How long a request waits for
its batch was modelled with their TTFT in sight. The 8B is predicted up to a fifth too fast under
load at TP=2, PP=2 or in FP8, and as much too slow in bf16 on one GPU, there and on the H200; its
GPU stands at the limit of 700 W, and its clock falls from 1,980 MHz to 1,300. Its rows at TP=2 and
PP=2 with 64 requests are too quick themselves: some of their prompts, the same random numbers as
those of the load before, lay in the prefix cache.

| model | weights | TP | PP | ISL/OSL | concurrency | TTFT ms | error % | TPOT ms | error % |
|---|---|---|---|---|---|---|---|---|---|
"""
OWN_H100 = "calibration/measurements/h100_latency.csv"


def stages_under_load() -> str:
    """Return measured and predicted latency of the same GPUs as ranks and as stages."""
    lines = [STAGES]
    with (Path(__file__).resolve().parent.parent / OWN_H100).open(newline="") as file:
        for raw in csv.DictReader(file):
            found = predict(point_of(raw))
            ttft, tpot = float(raw["ttft_ms_mean"]), float(raw["tpot_ms_mean"])
            lines.append(
                f"| {raw['model'].split('/')[-1]} | {raw['quantization'] or raw['dtype']} | "
                f"{raw['tp']} | {raw['pp']} | {raw['isl']}/{raw['osl']} | "
                f"{raw['concurrency']} | {ttft:.1f} | {100 * (1e3 * found.ttft_s / ttft - 1):+.1f} "
                f"| {tpot:.1f} | {100 * (1e3 * found.tpot_s / tpot - 1):+.1f} |\n"
            )
    return "".join(lines)


def write(path: Path, sections: list) -> None:
    """Write the page: for each way to leave a group out, the errors by that group and others."""
    out = [INTRO]
    for name, title, group, rows, ttft, tpot in sections:
        out.append(f"## Left out: {title}\n\n")
        for label, key in (
            (f"By {name}", group),
            *((("By model", lambda r: r.family),) if name != "model" else ()),
            *((("By GPU", lambda r: r.gpu),) if name != "gpu" else ()),
            ("By engine", lambda r: r.engine),
            ("By source", lambda r: r.kind),
        ):
            out.append(f"{label}:\n\n{table(rows, ttft, tpot, key)}\n")
        out.append(choice_table(rows, ttft, tpot))
    out.append(maximum_load())
    out.append("\n" + stages_under_load())
    path.write_text("".join(out).rstrip("\n") + "\n")
