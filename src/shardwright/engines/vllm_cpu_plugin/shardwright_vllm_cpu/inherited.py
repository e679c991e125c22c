"""Keeps forked ranks from holding the HTTP server's port.

A spawned process inherits no socket; a forked one does, and would keep the port of a dead server
open: clients would then hang where the real endpoint refuses the connection.
"""

from __future__ import annotations

import os
import socket
import stat
from functools import cache
from pathlib import Path


@cache
def let_go_of_sockets_in_children() -> None:
    """From now on, replace every bound but unconnected TCP socket by /dev/null in a forked child.

    The descriptor stays taken, so a Python object that still names it can be closed harmlessly.
    """
    os.register_at_fork(after_in_child=_let_go)


def _let_go() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for entry in Path("/proc/self/fd").iterdir():
        fd = int(entry.name)
        try:
            is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
        except OSError:
            continue
        if is_socket and _is_waiting_for_clients(fd):
            os.dup2(null, fd)
    os.close(null)


def _is_waiting_for_clients(fd: int) -> bool:
    with socket.socket(fileno=os.dup(fd)) as sock:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return False
        if sock.getsockname()[1] == 0:
            return False
        try:
            sock.getpeername()
        except OSError:
            return True
        return False
