"""Where Shardwright keeps things, by the XDG base directory rules."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """What the user would miss: measurements."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "shardwright"


def measurements_file() -> Path:
    """Records of every bench, one JSON object a line."""
    return data_folder() / "measurements" / "records.jsonl"
