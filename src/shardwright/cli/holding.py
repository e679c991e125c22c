"""Holding an endpoint while a command changes it: who we are, and a thread that says we live."""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from shardwright.model.errors import ShardwrightError

if TYPE_CHECKING:
    from shardwright.deploy.lock import Lock
    from shardwright.deploy.target import Tell
    from shardwright.model.cluster import Cluster


def lock_of(cluster: Cluster, endpoint: tuple[str, str], command: str, tell: Tell) -> Lock:
    """Make the lock of an endpoint, given by name and namespace, for a command of this process."""
    from shardwright.deploy.lock import Holder, Lock
    from shardwright.drive.clock import SystemClock

    by = f"{whoever()} (process {os.getpid()})"
    return Lock(cluster, SystemClock(), endpoint, Holder(by=by, command=command, since=now()), tell)


@contextmanager
def holding(lock: Lock) -> Iterator[Cluster]:
    """Hold the lock of an endpoint and renew it; yields the cluster to change it through."""
    from shardwright.deploy.lock import RENEW_S

    is_over = threading.Event()

    def renew() -> None:
        while not (is_over.wait(RENEW_S) or lock.is_lost):
            # an outage may pass, and what does not the next write will say
            with suppress(ShardwrightError):
                lock.renew()

    thread = threading.Thread(target=renew, daemon=True)
    with lock.held() as cluster:
        thread.start()
        try:
            yield cluster
        finally:
            is_over.set()
            thread.join()


def whoever() -> str:
    """Name the user and the machine, for people who wonder who it was."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def now() -> str:
    """Tell the time by this machine's clock, for people alone."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
