"""Hold a member of a group back from ending while the group still answers requests.

Runs as preStop in every member of a group, the leader included. It asks the watch of the leader,
`group.py`, until that lets the member end, until the leader is gone, or until the time is over.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

ANSWER_S = 15
"""Seconds for one answer of the leader, which asks its engine first."""
TRIES = 3


def leave(leader: tuple[str, int], limit_s: float, period_s: float) -> str:
    """Wait, and say what ended the wait."""
    deadline, unheard = time.monotonic() + limit_s, 0
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(leader, timeout=ANSWER_S) as connection:
                connection.sendall(b'"leave"\n')
                if json.loads(connection.makefile("rb").readline()) is True:
                    return "the group may end"
            unheard = 0
        except (OSError, ValueError):
            unheard += 1
            if unheard == TRIES:
                return "the leader is gone"
        time.sleep(period_s)
    return f"requests are left after {limit_s:.0f} s"


def main() -> None:
    """Read the command line and wait; a pod ends whatever its preStop returns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--leader", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--limit-s", type=float, required=True)
    parser.add_argument("--period-s", type=float, default=1)
    options = parser.parse_args()
    leader = (options.leader, options.port)
    sys.stdout.write(leave(leader, options.limit_s, options.period_s) + "\n")


if __name__ == "__main__":
    main()
