"""Looking again and again until something is so, through short outages of the API server.

Called by the watcher of pods and the one of jobs: what they wait for goes on without the server.
"""

from __future__ import annotations

from collections.abc import Callable

from shardwright.deploy.target import Tell, Told
from shardwright.model.cluster import OUTAGE_S, TRANSIENT
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Clock

POLL_S = 2.0
"""Seconds between two looks: one list by label, some kilobytes."""


def until_told(
    look: Callable[[], tuple[str, ...] | None], clock: Clock, tell: Tell
) -> tuple[str, ...]:
    """Look until there is an answer: what is wrong, or nothing; None is to look again."""
    away_since: float | None = None
    while True:
        try:
            problems = look()
        except ShardwrightError as error:
            now = clock.now()
            away_since = now if away_since is None else away_since
            if error.code not in TRANSIENT or now - away_since > OUTAGE_S:
                raise
            if now == away_since:
                tell(Told(text=f"{error.what}; waiting up to {OUTAGE_S:.0f} s for it"))
        else:
            if away_since is not None:
                tell(Told(text="the API server answers again"))
                away_since = None
            if problems is not None:
                return problems
        clock.sleep(POLL_S)
