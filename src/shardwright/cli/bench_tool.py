"""Where the AIPerf command comes from: the user's own, or an environment of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shardwright.drive.environment import ensure


def find_aiperf(say: Callable[[str], None]) -> Path:
    """Return the aiperf command, installed first if need be; SHARDWRIGHT_AIPERF names another."""
    return ensure("aiperf", say).programs / "aiperf"
