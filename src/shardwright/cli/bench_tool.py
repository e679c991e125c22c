"""Where the AIPerf command comes from: named by the user, or found on the PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shardwright.bench.aiperf import VERSION
from shardwright.model.errors import usage_error

VARIABLE = "SHARDWRIGHT_AIPERF"


def find_aiperf() -> Path:
    """Return the aiperf command. Raises ShardwrightError if there is none."""
    named = os.environ.get(VARIABLE)
    found = shutil.which(named or "aiperf")
    if found is None:
        raise usage_error(
            "aiperf-not-found",
            f"{VARIABLE} names {named!r}, which cannot be run" if named else "AIPerf is not here",
            remedy=f"uv tool install aiperf=={VERSION}, or set {VARIABLE} to the aiperf command",
        )
    return Path(found)
