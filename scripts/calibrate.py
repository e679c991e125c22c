#!/usr/bin/env python3
"""Fit the speed model's coefficients to measured rows, and test it on groups it has not seen.

    make calibrate        fit all rows, write src/shardwright/planner/calibration.json
    make cross-validate   refit without each group in turn, write calibration/held-out and
                          docs/accuracy.md

Needs numpy and shardwright; numba compiles the replay. On one idle core a fit takes half a minute,
cross-validation three; without numba, hours. Method: scripts/fitting.py.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Callable

import accuracy_tables
import fitting
import numpy as np
from fitting import ROOT, Problem, Row

HELD_OUT = ROOT / "calibration" / "held-out"
FOLDS = 8
"""Parts into which the (model, layout) groups of each pair are dealt."""


def priors() -> dict:
    """Return calibration/priors.json."""
    return json.loads((ROOT / "calibration" / "priors.json").read_text())


def fold_of(data: list[Row]) -> Callable[[Row], str]:
    """Deal whole (model, layout) groups of every pair over some folds, so that each fold leaves
    most groups of its pairs in.
    """
    names = sorted({(r.pair, r.model, r.kind, r.layout) for r in data})
    dealt = {name: str(i % FOLDS) for i, name in enumerate(names)}
    return lambda r: dealt[r.pair, r.model, r.kind, r.layout]


GROUPINGS = {
    "pair": ("one (GPU, engine) pair", lambda r: r.pair),
    "model": ("one model family", lambda r: r.family),
    "gpu": ("one GPU", lambda r: r.gpu),
    "layout": ("some (model, layout) groups of known pairs", None),
}


class Descents:
    """Fits from the priors. The derivatives, taken at the priors and at the fit of all rows, are
    the model's own: no measured value enters them but by where the second ones are taken.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        x = problem.mean
        self.first = problem.jacobian(x, problem.logs(x))
        x, _ = fitting.descend(problem, x, self.first)
        self.second = problem.jacobian(x, problem.logs(x))
        self.fitted, self.loss = fitting.descend(problem, x, self.second)

    def without(self, inside: Callable[[Row], bool]) -> np.ndarray:
        """Return the coefficients fitted, from the priors, to the rows that are not inside."""
        keep = np.array([not inside(row) for row in self.problem.data])
        some, both = self.problem.of_rows(keep), np.concatenate([keep, keep])
        x, _ = fitting.descend(some, self.problem.mean, self.first[both])
        return fitting.descend(some, x, self.second[both])[0]


def write_calibration(problem: Problem, x: np.ndarray, data: list[Row]) -> None:
    """Write the packaged table."""
    entries = priors()
    out = {
        "about": "Fitted by scripts/calibrate.py; do not edit. Names and units: docs/planner.md.",
        "rows": dict(sorted(Counter(r.pair for r in data).items())),
        "matmul_fraction": entries["matmul_fraction"],
        "coefficients": {
            name: {
                "value": float(f"{np.exp(v):.4g}"),
                "prior": entries["coefficients"][name]["value"],
            }
            for name, v in zip(problem.names, x, strict=True)
        },
    }
    fitting.PACKAGED.write_text(json.dumps(out, indent=1, sort_keys=True) + "\n")


def read_held_out(name: str, data: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Return the held-out predictions on file, in seconds."""
    with (HELD_OUT / f"{name}.csv").open(newline="") as file:
        found = {raw["id"]: raw for raw in csv.DictReader(file)}
    ttft = np.array([float(found[r.point.id]["ttft_ms"]) / 1e3 for r in data])
    return ttft, np.array([float(found[r.point.id]["tpot_ms"]) / 1e3 for r in data])


def write_held_out(name: str, data: list[Row], ttft: np.ndarray, tpot: np.ndarray) -> None:
    """Write what each row was predicted to be with its group left out."""
    HELD_OUT.mkdir(exist_ok=True)
    with (HELD_OUT / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "ttft_ms", "tpot_ms"])
        writer.writerows(
            (r.point.id, f"{a * 1e3:.3f}", f"{b * 1e3:.4f}")
            for r, a, b in zip(data, ttft, tpot, strict=True)
        )


def cross_validate(descents: Descents, data: list[Row], names: list[str], *, dry: bool) -> None:
    """Refit without each group, predict it, print the errors."""
    for name in names:
        key = GROUPINGS[name][1] or fold_of(data)
        ttft, tpot = np.empty(len(data)), np.empty(len(data))
        for group in sorted({key(row) for row in data}):
            x = descents.without(lambda row, group=group, key=key: key(row) == group)
            inside = np.array([key(row) == group for row in data])
            unseen = [row for row in data if key(row) == group]
            ttft[inside], tpot[inside] = fitting.predict(unseen, descents.problem.coefficients(x))
        shown = GROUPINGS[name][1] or GROUPINGS["pair"][1]
        print(f"left out: {name}\n" + accuracy_tables.table(data, ttft, tpot, shown))
        print(accuracy_tables.choice_table(data, ttft, tpot), flush=True)
        if not dry:
            write_held_out(name, data, ttft, tpot)


def write_margin(data: list[Row]) -> None:
    """Write the margins of the search: of pairs with rows, and of pairs without."""
    out = {
        "about": "Factors on predicted TPOT; written by scripts/calibrate.py, do not edit.",
        "source": "least margin, to 5 %, with under 10 % of limits broken: known: "
        "calibration/held-out/layout.csv, new: calibration/held-out/pair.csv",
        "known": accuracy_tables.least_margin(data, *read_held_out("layout", data)),
        "new": accuracy_tables.least_margin(data, *read_held_out("pair", data)),
        "known_pairs": sorted({r.pair for r in data}),
    }
    fitting.PACKAGED.with_name("margin.json").write_text(json.dumps(out, indent=1) + "\n")


def write_page(data: list[Row]) -> None:
    """Write docs/accuracy.md from the predictions of held-out groups that are on file."""
    sections = [
        (name, title, key or GROUPINGS["pair"][1], data, *read_held_out(name, data))
        for name, (title, key) in GROUPINGS.items()
    ]
    accuracy_tables.write(ROOT / "docs" / "accuracy.md", sections)
    write_margin(data)


def main() -> None:
    """Fit, or cross-validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cross-validate", nargs="*", choices=list(GROUPINGS), default=None)
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument("--page", action="store_true", help="only write docs/accuracy.md anew")
    args = parser.parse_args()
    data = fitting.rows()
    if args.page:
        write_page(data)
        return
    problem = Problem(priors(), fitting.thinned(data))
    descents = Descents(problem)
    ttft, tpot = fitting.predict(data, problem.coefficients(descents.fitted))
    print(f"all rows, loss {descents.loss:.1f}")
    print(accuracy_tables.table(data, ttft, tpot, lambda r: r.pair), flush=True)
    if args.cross_validate is None:
        if not args.dry_run:
            write_calibration(problem, descents.fitted, data)
        return
    names = args.cross_validate or list(GROUPINGS)
    cross_validate(descents, data, names, dry=args.dry_run)
    if not args.dry_run:
        write_page(data)


if __name__ == "__main__":
    main()
