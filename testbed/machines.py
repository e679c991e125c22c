"""Starting, entering and ending machines: namespaces with a supervisor, found again by themselves.

What runs is read from the kernel (namespaces, cgroups), never from a file alone, so that a crashed
run is cleaned up as well as a finished one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testbed import network
from testbed.layout import CGROUP, Machine, state_dir
from testbed.shell import TestbedError, run, wait_for

CGROUPS = Path("/sys/fs/cgroup")

SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",  # pods of one node reach each other by Service
}


def start(machine: Machine, services: dict[str, list[str]]) -> None:
    """Start a machine with its services and return at once."""
    machine.directory.mkdir(parents=True, exist_ok=True)
    settings = machine.directory / "machine.json"
    settings.write_text(
        json.dumps(
            {
                "name": machine.name,
                "directory": str(machine.directory),
                "services": services,
                "sysctls": SYSCTLS,
            },
            indent=1,
        )
    )
    supervisor = Path(__file__).with_name("supervisor.py")
    groups = _make_cgroups(machine)
    with (machine.directory / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *("nsenter", f"--net=/run/netns/{machine.netns}", "--"),
                *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"),
                *(sys.executable, "-E", "-s", str(supervisor), str(settings)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            preexec_fn=lambda: _join(groups),  # noqa: PLW1509 - single-threaded here
        )
    (machine.directory / "pid").write_text(f"{process.pid}\n")


def cgroup_roots() -> tuple[Path, ...]:
    """Return the root of every hierarchy: one on cgroup v2, one per controller on v1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return (CGROUPS,)
    return tuple(path for path in sorted(CGROUPS.iterdir()) if (path / "cgroup.procs").exists())


def _make_cgroups(machine: Machine) -> tuple[Path, ...]:
    groups = []
    for root in cgroup_roots():
        group = root / CGROUP / machine.name
        group.mkdir(parents=True, exist_ok=True)
        for level in (group.parent, group):
            for name in ("cpuset.cpus", "cpuset.mems"):  # a v1 cpuset starts empty
                if (level / name).exists() and not (level / name).read_text().strip():
                    (level / name).write_text((level.parent / name).read_text())
        groups.append(group)
    return tuple(groups)


def _join(groups: tuple[Path, ...]) -> None:
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def init_pid(machine: Machine) -> int | None:
    """Return the host's number for the machine's process 1, or None if it does not run."""
    try:
        outer = int((machine.directory / "pid").read_text())
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def inside(machine: Machine, *argv: str | Path, timeout_s: float = 120) -> str:
    """Run a program inside a machine."""
    pid = init_pid(machine)
    if pid is None:
        raise TestbedError(f"{machine.name} does not run")
    return run(
        *("nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "--", *argv), timeout_s=timeout_s
    )


def stop_all() -> None:
    """End every process of every machine and remove namespaces, cgroups and the state directory."""
    for namespace in network.namespaces():
        _end(namespace)
    network.remove()
    wait_for("cgroups emptied", _remove_cgroups, timeout_s=30)
    shutil.rmtree(state_dir(), ignore_errors=True)


def _end(namespace: str) -> None:
    """Kill what runs in a namespace; process 1 of a machine takes its containers with it."""

    def killed() -> bool:
        pids = [pid for group in _groups_of(namespace) for pid in _members(group)]
        pids += network.processes(namespace)
        for pid in sorted(set(pids)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_for(f"processes of {namespace} ended", killed, timeout_s=30)


def _groups_of(namespace: str) -> Iterator[Path]:
    name = namespace.split("-", 1)[1]
    for root in cgroup_roots():
        top = root / CGROUP / name
        if top.exists():
            yield from (path.parent for path in top.rglob("cgroup.procs"))


def _members(group: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError, OSError):
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    return []


def _remove_cgroups() -> bool:
    """Remove the test bed's cgroups, deepest first; tell whether all are gone."""
    for root in cgroup_roots():
        top = root / CGROUP
        groups = [path.parent for path in top.rglob("cgroup.procs")] if top.exists() else []
        for group in sorted(groups, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()
    return not any((root / CGROUP).exists() for root in cgroup_roots())
