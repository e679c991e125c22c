"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """Monotonic time of this machine."""

    def now(self) -> float:
        """Seconds since some fixed moment, never going back."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Let time pass."""
        time.sleep(duration_s)
