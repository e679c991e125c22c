"""Process 1 of one machine: mounts what is private to it, then keeps its services running.

Started inside fresh namespaces with the path of its settings (JSON). When it ends, the kernel ends
every process of the machine, container or not, and drops every mount it made.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESTART_PAUSE_S = 1.0


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _prepare(settings: dict[str, Any]) -> None:
    """Give the machine its own /proc, /run, /tmp, /var/lib and /var/log."""
    directory = Path(settings["directory"])
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", "/proc")
    for inside in ("/var/lib", "/var/log", "/tmp"):  # noqa: S108
        own = directory / inside.strip("/").replace("/", "-")
        own.mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(own), inside)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm")  # noqa: S108
    _mount("--make-rshared", "/")  # kubelet and containerd expect to share mounts with each other
    socket.sethostname(settings["name"])
    for key, value in settings["sysctls"].items():
        path = Path("/proc/sys") / key.replace(".", "/")
        if path.exists():
            path.write_text(value)


class Supervisor:
    """Starts every service at once and each again when it ends, as an init system would."""

    def __init__(self, services: dict[str, list[str]], logs: Path) -> None:
        self.services = services
        self.logs = logs
        self.running: dict[int, str] = {}
        self.due: dict[str, float] = dict.fromkeys(services, 0.0)

    def start_due(self) -> None:
        """Start the services whose time has come."""
        for name in [name for name, at in self.due.items() if at <= time.monotonic()]:
            del self.due[name]
            with (self.logs / f"{name}.log").open("ab") as log:
                process = subprocess.Popen(
                    self.services[name],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.running[process.pid] = name
            (self.logs / f"{name}.pid").write_text(f"{process.pid}\n")

    def reap(self) -> None:
        """Collect every child that ended, ours and the orphans of containers."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.running.pop(pid, None)
            if name is not None:
                with (self.logs / f"{name}.log").open("a") as log:
                    log.write(f"supervisor: {name} ended, wait status {status}; starting again\n")
                self.due[name] = time.monotonic() + RESTART_PAUSE_S


def main() -> None:
    """Prepare the machine and watch over it until told to stop."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _prepare(settings)
    logs = Path(settings["directory"]) / "logs"
    logs.mkdir(exist_ok=True)
    supervisor = Supervisor(settings["services"], logs)
    while True:
        supervisor.start_due()
        supervisor.reap()
        time.sleep(0.2)


if __name__ == "__main__":
    main()
