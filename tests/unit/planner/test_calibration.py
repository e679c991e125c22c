"""A user's own calibration: a known change of hardware is found again, and noise is refused."""

import random

import pytest

from shardwright.drive.local_fits import fits_file, read_fits, write_fits
from shardwright.model.errors import ShardwrightError
from shardwright.planner.calibration import LEAST_POINTS, calibrate
from shardwright.planner.coefficients import LocalFit, corrected, in_use, packaged, using
from shardwright.planner.latency import predict
from shardwright.planner.point import point_of
from shardwright.shape import load

DATE = "2026-11-26"


def rows(k=None, scale=1.0, noise=0.0):
    """What hardware measures whose coefficients are k: three layouts at three loads."""
    chance, out = random.Random(3), []
    for tp in (1, 2, 4):
        for concurrency in (1, 4, 8):
            row = {
                "id": f"tp{tp}-c{concurrency}", "model": "meta-llama/Llama-3.1-8B",
                "gpu": "H100-SXM", "engine": "vllm", "engine_version": "0.19.0", "tp": str(tp),
                "isl": "512", "osl": "32", "concurrency": str(concurrency), "window": "service",
            }  # fmt: skip
            found = predict(point_of(row), k=k)
            for name, value in (("ttft_ms", found.ttft_s), ("tpot_ms", found.tpot_s)):
                row[name] = str(value * 1e3 * scale * (1 + chance.uniform(-noise, noise)))
            out.append(row)
    return out


def test_slower_memory_is_found_from_the_loads_it_slows():
    slow = corrected((("weight_read", 0.85), ("kv_read", 0.85), ("expert_read", 0.85)))
    [found], notes = calibrate(rows(slow), load, DATE)
    assert notes == ()
    assert (found.num_points, found.num_groups, found.grouped_by) == (9, 3, "deployments")
    # nine loads move a prior only part of the way, and that factor more than any other
    factors = dict(found.factors)
    assert 0.84 < factors["memory bandwidth"] < 0.91
    assert min(factors, key=factors.get) == "memory bandwidth"
    assert found.fit is not None
    assert sum(found.held_out) < sum(found.before) / 2


def test_noise_alone_is_refused_and_so_are_few_rows_and_other_hardware():
    [noise], _ = calibrate(rows(noise=0.25), load, DATE)
    assert noise.fit is None
    assert "not predicted better" in noise.reason
    [few], _ = calibrate(rows()[: LEAST_POINTS - 1], load, DATE)
    assert few.fit is None
    assert "too few" in few.reason
    [lost], _ = calibrate(rows(scale=40), load, DATE)
    assert lost.fit is None
    assert "40 times predicted" in lost.reason


def test_rows_that_cannot_be_used_are_named_and_left_out():
    bad = [{"id": "x", "model": "no/such", "gpu": "H100-SXM"}, {**rows()[0], "ttft_ms": ""}]
    outcomes, notes = calibrate(bad, load, DATE)
    assert outcomes == ()
    assert [note.split(":")[0] for note in notes] == ["x", "tp1-c1"]
    assert notes[1] == "tp1-c1: column ttft_ms is empty, and not a time"


def test_many_rows_with_one_trouble_are_one_line():
    bad = [{**row, "tpot_ms": "7,5"} for row in rows()[:5]]
    _, notes = calibrate(bad, load, DATE)
    assert notes == ("tp1-c1, tp1-c4, tp1-c8 and 2 more: column tpot_ms is '7,5', and not a time",)


@pytest.mark.parametrize("text", ["inf", "nan", "-3", "0", "1e999"])
def test_what_is_no_time_is_left_out(text):
    outcomes, [note] = calibrate([{**rows()[0], "ttft_ms": text}], load, DATE)
    assert outcomes == ()
    assert f"column ttft_ms is '{text}'" in note


def test_rows_of_one_load_that_contradict_each_other_are_said_and_not_fitted_to():
    slow = corrected((("weight_read", 0.85), ("kv_read", 0.85), ("expert_read", 0.85)))
    good = rows(slow)
    again = {**good[4], "id": "again", "tpot_ms": str(float(good[4]["tpot_ms"]) * 4)}
    near = {**good[5], "id": "near", "tpot_ms": str(float(good[5]["tpot_ms"]) * 1.2)}
    [found], _ = calibrate([*good, again, near], load, DATE)
    [doubt] = found.doubts
    assert doubt.startswith("again and tp2-c4 are of one load and differ 4.0 times in TPOT; remove")
    [without], _ = calibrate([row for row in [*good, near] if row is not good[4]], load, DATE)
    assert (found.num_points, found.factors) == (9, without.factors)
    [clean], _ = calibrate(good, load, DATE)
    assert clean.doubts == ()
    [none], _ = calibrate([good[4], again], load, DATE)
    assert none.fit is None
    assert none.reason == "every row is contradicted by another"


def test_a_table_in_seconds_is_asked_whether_it_is_in_milliseconds():
    [found], _ = calibrate(rows(scale=0.001), load, DATE)
    assert found.fit is None
    assert found.reason == "measured TTFT is 0.001 times predicted: is it in milliseconds?"


def fit(factor, gpu="H100-SXM"):
    return LocalFit(gpu=gpu, engine="vllm", factors=(("layer_s", factor),), num_points=9, date=DATE)


def test_a_fit_counts_for_its_own_gpu_and_engine_only():
    with using((fit(2.0),)):
        here = in_use("H100-SXM", "vllm").of("layer_s", "vllm")
        assert here == pytest.approx(2 * packaged().of("layer_s", "vllm"))
        assert in_use("H200-SXM", "vllm") is packaged()
        assert in_use("H100-SXM", "sglang") is packaged()
    assert in_use("H100-SXM", "vllm") is packaged()


def test_fits_are_kept_by_gpu_and_engine_and_a_damaged_file_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert read_fits() == ()
    write_fits((fit(2.0), fit(1.5, gpu="H200-SXM")))
    write_fits((fit(3.0),))
    assert [(f.gpu, f.factors[0][1]) for f in read_fits()] == [("H100-SXM", 3.0), ("H200-SXM", 1.5)]
    fits_file().write_text('{"fits": [{"gpu": "H100-SXM"}]}')
    with pytest.raises(ShardwrightError) as damaged:
        read_fits()
    assert damaged.value.code == "local-calibration-damaged"
