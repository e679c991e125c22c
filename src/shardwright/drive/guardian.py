"""The guardian: a small process that starts a rehearsal's programs and outlives its starter.

Run as `python -m shardwright.drive.guardian CONTROL CONNECT` by `shardwright.drive.processes`; both
arguments are inherited sockets. It adopts every orphan among its descendants, so that it can end
all of them, and does so when it is told to, or when its starter is gone, however that ended. Then
it removes what they left in /dev/shm and the scratch directory.

Spoken on CONTROL, one JSON object a line: `begin`, `start`, `kill`, `ports`, `stop`, `end` in;
`seated`, `exited`, `usage`, `ports`, `stopped`, `failed` out. CONNECT takes an address and gives
back a connected socket, made where the members live.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shardwright.drive import isolation, proctree
from shardwright.drive.shared_memory import Key, SharedMemory

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TICK_S = 0.1
_WATCH_EVERY_S = 1.0
_MEASURE_EVERY_S = 3.0
_FORCE_FOR_S = 15.0

_libc = ctypes.CDLL(None, use_errno=True)


class Guardian:
    """State of one rehearsal's processes."""

    def __init__(self, control: socket.socket, connect: socket.socket) -> None:
        self._control = control
        self._connect = connect
        self._unread = b""
        self._rooms: list[isolation.Room] = []
        self._scratch: Path | None = None
        self._directory = Path.cwd()
        self._started: dict[int, tuple[int, str]] = {}
        self._member_of: dict[Key, int] = {}
        self._shm = SharedMemory()

    def serve(self) -> None:
        """Work until the starter is done or gone, then leave nothing behind."""
        watched = measured = 0.0
        alive = True
        try:
            while alive:
                readable, _, _ = select.select([self._control, self._connect], [], [], _TICK_S)
                if self._connect in readable:
                    self._dial()
                if self._control in readable:
                    alive = self._hear()
                self._reap()
                now = time.monotonic()
                if not self._rooms and self._shm.has_grown():
                    # whose a new file is can be seen only while somebody has it mapped
                    watched = 0.0
                if now - watched >= _WATCH_EVERY_S:
                    watched = now
                    family = self._watch()
                    if now - measured >= _MEASURE_EVERY_S:
                        measured = now
                        self._measure(family)
        finally:
            self._end_all(grace_s=0.0)
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)

    # --- what the starter asks -----------------------------------------------------------------

    def _hear(self) -> bool:
        try:
            received = self._control.recv(1 << 20)
        except ConnectionError:
            return False
        self._unread += received
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["op"] == "end":
                return False
            try:
                self._obey(message)
            except OSError as error:
                self._say({"say": "failed", "op": message["op"], "why": str(error)})
        return bool(received)

    def _obey(self, message: dict[str, Any]) -> None:
        orders: dict[str, Callable[[dict[str, Any]], None]] = {
            "begin": self._begin,
            "start": self._start,
            "kill": self._kill,
            "stop": self._stop,
            "ports": self._ports,
        }
        orders[message["op"]](message)

    def _begin(self, message: dict[str, Any]) -> None:
        self._directory = Path(message["directory"])
        # short, because the path of a Unix socket may have 107 bytes and engines nest deep
        self._scratch = Path(tempfile.mkdtemp(prefix="shardwright-", dir=message["tmp"]))
        names = tuple(message["names"])
        if message["isolate"]:
            isolation.open_hub()
            shm_bytes = tuple(message["shm_bytes"])
            self._rooms = isolation.open_rooms(names, shm_bytes, self._scratch)
            addresses = [room.address for room in self._rooms]
        else:
            (self._scratch / "tmp").mkdir()
            addresses = ["127.0.0.1"] * len(names)
        self._say({"say": "seated", "addresses": addresses, "tmp": str(self._scratch / "tmp")})

    def _start(self, message: dict[str, Any]) -> None:
        member = int(message["member"])
        guardian = os.getpid()

        def prepare() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != guardian:
                os._exit(1)
            if self._rooms:
                self._rooms[member].enter(self._directory)

        with Path(message["log"]).open("ab") as log:
            process = subprocess.Popen(
                message["argv"],
                env=message["env"],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509  (one thread here: safe)
            )
        process.returncode = 0  # reaped by _reap, never by Popen
        self._started[process.pid] = (member, message["name"])

    def _kill(self, message: dict[str, Any]) -> None:
        if message["pid"] not in {p.pid for p in self._family()}:
            raise OSError(f"process {message['pid']} is not part of this rehearsal")
        os.kill(message["pid"], signal.SIGKILL)

    def _stop(self, message: dict[str, Any]) -> None:
        self._say({"say": "stopped", **self._end_all(message["grace_s"])})

    def _ports(self, message: dict[str, Any]) -> None:
        """Say on which ports our own programs listen; members side by side share all ports."""
        del message
        inodes = proctree.listeners()
        held = (proctree.sockets(proc.pid) for proc in self._family())
        ports = sorted({inodes[inode] for own in held for inode in own & inodes.keys()})
        self._say({"say": "ports", "ports": ports})

    def _dial(self) -> None:
        try:
            request = self._connect.recv(4096)
            if not request:
                return
            host, port = json.loads(request)
            with socket.create_connection((host, port), timeout=2.0) as made:
                made.settimeout(None)
                socket.send_fds(self._connect, [b"ok"], [made.fileno()])
        except OSError as error:
            with contextlib.suppress(OSError):
                self._connect.send(str(error).encode())

    def _say(self, message: dict[str, Any]) -> None:
        # the starter may be gone; that is noticed when it is next read from
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(message).encode() + b"\n")

    # --- what happens to the programs ----------------------------------------------------------

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._started:
                member, name = self._started.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                self._say({"say": "exited", "member": member, "process": name, "code": code})

    def _family(self) -> tuple[proctree.Proc, ...]:
        return proctree.descendants(os.getpid(), proctree.processes())

    def _watch(self) -> tuple[proctree.Proc, ...]:
        """Note whose each descendant is and which shared memory is the rehearsal's."""
        family = self._family()
        by_pid: dict[int, int] = {pid: member for pid, (member, _) in self._started.items()}
        seated: dict[Key, int] = {}
        for proc in family:
            key = (proc.pid, proc.start_ticks)
            member = self._member_of.get(key, by_pid.get(proc.pid, by_pid.get(proc.parent)))
            if member is None:
                continue
            self._member_of[key] = by_pid[proc.pid] = seated[key] = member
        self._shm.look(seated)
        return family

    def _measure(self, family: tuple[proctree.Proc, ...]) -> None:
        members: dict[int, list[int]] = {}
        for proc in family:
            member = self._member_of.get((proc.pid, proc.start_ticks))
            if member is not None and not proc.is_zombie:
                members.setdefault(member, []).append(proctree.memory_bytes(proc.pid))
        for member, sizes in sorted(members.items()):
            usage = {
                "member": member,
                "memory_bytes": sum(sizes),
                "shm_bytes": self._shm_bytes(member),
                "num_processes": len(sizes),
            }
            self._say({"say": "usage", **usage})

    def _shm_bytes(self, member: int) -> int:
        if self._rooms:
            return self._rooms[member].shm_used_bytes()
        return self._shm.used_bytes(member)

    # --- the end -------------------------------------------------------------------------------

    def _end_all(self, grace_s: float) -> dict[str, list[str]]:
        self._freeze()
        for pid in self._started:
            self._send(pid, signal.SIGTERM)
        if grace_s > 0:
            self._send_all(signal.SIGCONT)
            self._wait_until_gone(grace_s)
        killed = sorted({p.name for p in self._freeze() if not p.is_zombie})
        deadline = time.monotonic() + _FORCE_FOR_S
        while self._family() and time.monotonic() < deadline:
            self._send_all(signal.SIGKILL)
            self._reap()
            time.sleep(0.02)
        self._reap()
        remaining = sorted(f"process {p.pid} {p.name}" for p in self._family())
        return {"killed": killed, "removed": self._remove_shm(), "remaining": remaining}

    def _freeze(self) -> tuple[proctree.Proc, ...]:
        """Stop every descendant where it is, and see what it holds before it can let go of it."""
        before: set[int] = set()
        while not (now := {p.pid for p in self._family()}) <= before:
            self._send_all(signal.SIGSTOP)
            before = now
        self._shm.look_afresh()
        return self._watch()

    def _send_all(self, number: signal.Signals) -> None:
        for proc in self._family():
            self._send(proc.pid, number)

    def _send(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _wait_until_gone(self, grace_s: float) -> None:
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            self._reap()
            if not self._family():
                return
            time.sleep(0.05)

    def _remove_shm(self) -> list[str]:
        return [*self._shm.remove(), *(name for room in self._rooms for name in room.empty_shm())]


def main() -> None:
    """Serve on the two sockets whose numbers are the arguments."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the starter decides; its end is the signal
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    control, connect = (socket.socket(fileno=int(n)) for n in sys.argv[1:3])
    Guardian(control, connect).serve()


if __name__ == "__main__":
    main()
