"""The user's own calibration on disk: one small JSON file beside the measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shardwright.drive.folders import data_folder
from shardwright.model.errors import Place, ShardwrightError
from shardwright.planner.coefficients import LocalFit, packaged


def fits_file() -> Path:
    """Where `calibrate` writes and plans look."""
    return data_folder() / "calibration.json"


def read_fits() -> tuple[LocalFit, ...]:
    """Read the fits; none if there is no file. Raises ShardwrightError for a damaged one."""
    path = fits_file()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    try:
        return tuple(_fit(entry) for entry in document["fits"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, repr(error)) from error


def _fit(entry: dict[str, Any]) -> LocalFit:
    factors = tuple((str(name), float(value)) for name, value in sorted(entry["factors"].items()))
    unknown = [name for name, _ in factors if name not in packaged().values]
    if unknown:
        message = f"unknown coefficients {', '.join(unknown)}"
        raise ValueError(message)
    return LocalFit(
        gpu=str(entry["gpu"]),
        engine=str(entry["engine"]),
        factors=factors,
        num_points=int(entry["points"]),
        date=str(entry["date"]),
    )


def write_fits(fits: tuple[LocalFit, ...]) -> Path:
    """Keep these fits, and those of other GPUs and engines that were there."""
    path = fits_file()
    new = {(fit.gpu, fit.engine) for fit in fits}
    kept = [fit for fit in read_fits() if (fit.gpu, fit.engine) not in new]
    entries = [
        {
            "gpu": fit.gpu,
            "engine": fit.engine,
            "factors": dict(fit.factors),
            "points": fit.num_points,
            "date": fit.date,
        }
        for fit in sorted((*kept, *fits), key=lambda f: (f.gpu, f.engine))
    ]
    about = (
        "Factors on coefficients of the speed model, by shardwright calibrate; delete to forget."
    )
    text = json.dumps({"about": about, "fits": entries}, indent=2, sort_keys=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # in one step: half a file would stop every plan
        filling = path.with_suffix(".json.new")
        filling.write_text(text + "\n", encoding="utf-8")
        filling.replace(path)
    except OSError as error:
        raise ShardwrightError(
            code="local-calibration-not-writable",
            what=f"the calibration cannot be kept in {path}: {error.strerror}",
            remedy="check its permissions, or set XDG_DATA_HOME",
        ) from error
    return path


def _damaged(path: Path, why: str) -> ShardwrightError:
    return ShardwrightError(
        code="local-calibration-damaged",
        what=f"your own calibration cannot be read: {why}",
        remedy=f"run shardwright calibrate again, or delete {path}; plan --no-local-calibration "
        "ignores it",
        place=Place(file=str(path)),
    )
