"""The user's own calibration on disk."""

from pathlib import Path

import pytest

from shardwright.drive.local_fits import fits_file, read_fits, write_fits
from shardwright.planner.coefficients import LocalFit


def a_fit(gpu):
    return LocalFit(gpu=gpu, engine="vllm", factors=(), num_points=7, date="2026-11-27")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def test_fits_of_other_gpus_stay():
    write_fits((a_fit("L40S"),))
    write_fits((a_fit("H100-SXM"),))
    assert read_fits() == (a_fit("H100-SXM"), a_fit("L40S"))
    assert [path.name for path in fits_file().parent.iterdir()] == ["calibration.json"]


def test_an_interrupted_write_leaves_what_was_there(monkeypatch):
    write_fits((a_fit("L40S"),))

    def cut_short(self, text, encoding):
        with self.open("w", encoding=encoding) as file:
            file.write(text[:20])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", cut_short)
    with pytest.raises(KeyboardInterrupt):
        write_fits((a_fit("H100-SXM"),))
    assert read_fits() == (a_fit("L40S"),)
