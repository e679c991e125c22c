"""Percentiles of a service against what a real engine on an H100 gave its users."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from shardwright.planner.coefficients import packaged
from shardwright.planner.deployment import setup_of, shape_of
from shardwright.planner.latency import run
from shardwright.planner.point import STEADY, point_of
from shardwright.planner.replaying import fixed_ttft_s

MEASURED = Path(__file__).parents[3] / "calibration" / "measurements" / "h100_service.csv"
with MEASURED.open(newline="") as file:
    # one user waits for nobody: nothing of the schedule is in those rows
    ROWS = [row for row in csv.DictReader(file) if int(row["concurrency"]) > 1]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_percentiles_are_near_those_of_a_real_engine(row):
    point, k = point_of(row), packaged()
    setup = setup_of(point, shape_of(point.model), k)
    found = run(point, setup, k)
    # the rows were measured in the engine's process
    http = fixed_ttft_s(point, setup, k) - fixed_ttft_s(replace(point, window=STEADY), setup, k)
    assert 1e3 * found.tpot_tail_s == pytest.approx(float(row["itl_ms_p95"]), rel=0.2)
    # launches of the host that was measured hold steps up in ways no schedule tells
    assert 1e3 * (found.ttft_tail_s - http) == pytest.approx(float(row["ttft_ms_p95"]), rel=0.5)
