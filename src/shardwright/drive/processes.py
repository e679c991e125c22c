"""Programs on this machine, behind the Supervisor port: the starter's side of the guardian.

`shardwright.cli` makes one, `shardwright.rehearse` speaks to it. The guardian does the starting and
the cleaning; here are the orders to it, the log files it writes, and the reading of both.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shardwright.drive import proctree
from shardwright.drive.growing_log import GrowingLog
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Command, Exited, Happening, Leftovers, Line, Seat, Usage

_PR_SET_CHILD_SUBREAPER = 36
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOG_EVERY_S = 0.1
_ANSWER_WITHIN_S = 30.0


class LocalProcesses:
    """A group of programs of this machine, in network namespaces of their own if asked.

    names: host names of the members, member 0 first; shm_bytes: size of each member's /dev/shm,
    used where members are isolated; directory: where logs go.
    """

    def __init__(
        self, *, names: tuple[str, ...], shm_bytes: tuple[int, ...], isolate: bool, directory: Path
    ) -> None:
        self._directory = directory
        self._isolate = isolate
        self._logs: dict[tuple[int, str], GrowingLog] = {}
        self._heard: list[dict[str, Any]] = []
        self._unread = b""
        self._dialling = threading.Lock()
        (directory / "logs").mkdir(parents=True, exist_ok=True)
        self._guardian = self._start_guardian()
        self._born = _start_ticks(self._guardian.pid)
        order = {
            "op": "begin",
            "names": names,
            "shm_bytes": shm_bytes,
            "isolate": isolate,
            "directory": str(directory.resolve()),
            "tmp": tempfile.gettempdir(),
        }
        seated = self._ask(order, "seated", _ANSWER_WITHIN_S)
        self._seats = tuple(Seat(member=i, address=a) for i, a in enumerate(seated["addresses"]))
        self.tmp = Path(seated["tmp"])

    def _start_guardian(self) -> subprocess.Popen[bytes]:
        # should the guardian itself be killed, its orphans come to us
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._control, control = socket.socketpair()
        self._connect, connect = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = (control.fileno(), connect.fileno())
        with (self._directory / "logs" / "guardian.log").open("wb") as log, control, connect:
            return subprocess.Popen(
                [sys.executable, "-m", "shardwright.drive.guardian", *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=numbers,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        """Return this group; leaving the block ends it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every program and the guardian."""
        self.close()

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The seats of the group, member 0 first."""
        return self._seats

    def log_path(self, member: int, process: str) -> Path:
        """Where a program's output goes."""
        return self._directory / "logs" / f"member-{member}.{process}.log"

    def start(self, command: Command) -> None:
        """Start a program; raises ShardwrightError if it cannot be started."""
        key = (command.member, command.name)
        if key not in self._logs:
            self._logs[key] = GrowingLog(self.log_path(*key))
        log = self._logs[key]
        order = {
            "op": "start",
            "member": command.member,
            "name": command.name,
            "argv": command.argv,
            "env": dict(command.env),
            "log": str(log.path.resolve()),
        }
        self._tell(order)

    def poll(self, timeout_s: float) -> tuple[Happening, ...]:
        """Return what happened since the last poll, waiting at most timeout_s for the first."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._listen(min(_LOG_EVERY_S, max(0.0, deadline - time.monotonic())))
            messages, self._heard = self._heard, []
            lines: list[Happening] = [
                Line(member=member, process=process, text=text)
                for (member, process), log in self._logs.items()
                for text in log.read_lines()
            ]
            happenings = (*lines, *(h for m in messages for h in self._understand(m)))
            if happenings or time.monotonic() >= deadline:
                return happenings

    def is_listening(self, member: int, port: int) -> bool:
        """Tell whether a program of this rehearsal listens on a port of a member."""
        if not self._isolate and port not in self._ask({"op": "ports"}, "ports", 10.0)["ports"]:
            return False
        try:
            self.connect(self._seats[member].address, port).close()
        except OSError:
            return False
        return True

    def kill(self, pid: int) -> None:
        """Kill one process of the group outright."""
        self._tell({"op": "kill", "pid": pid})

    def stop(self, grace_s: float) -> Leftovers:
        """End every program, by force after grace_s, and remove what they left.

        What they said and how they ended until then is no longer told by `poll`.
        """
        answer = self._ask({"op": "stop", "grace_s": grace_s}, "stopped", grace_s + 30.0)
        # what was heard until now is about programs that are gone; a restart must not see it
        self._heard.clear()
        for log in self._logs.values():
            log.read_lines(to_end=True)
        lists = {key: tuple(answer[key]) for key in ("killed", "removed", "remaining")}
        return Leftovers(**lists)

    def connect(self, host: str, port: int) -> socket.socket:
        """Open a TCP connection from where the members live; raises OSError."""
        with self._dialling:
            self._connect.send(json.dumps([host, port]).encode())
            answer, numbers, _, _ = socket.recv_fds(self._connect, 4096, 1)
        if not numbers:
            raise ConnectionError(answer.decode(errors="replace") or "the guardian is gone")
        return socket.socket(fileno=numbers[0])

    def close(self) -> None:
        """End every program and the guardian; returns when nothing is left.

        A second interrupt waits until then: it must not cut the clean-up short.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            with contextlib.suppress(OSError):
                self._control.sendall(b'{"op": "end"}\n')
            self._control.close()
            self._connect.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guardian.wait(timeout=30.0)
            self._adopt_orphans()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    # --- to and from the guardian --------------------------------------------------------------

    def _tell(self, order: dict[str, Any]) -> None:
        try:
            self._control.sendall(json.dumps(order).encode() + b"\n")
        except OSError as error:
            raise self._guardian_gone() from error

    def _ask(self, order: dict[str, Any], answer: str, timeout_s: float) -> dict[str, Any]:
        self._tell(order)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._listen(0.1)
            for message in self._heard:
                if message["say"] == answer:
                    self._heard.remove(message)
                    return message
                if message["say"] == "failed" and message["op"] == order["op"]:
                    raise _refused(message)
        raise self._guardian_gone()

    def _listen(self, timeout_s: float) -> None:
        readable, _, _ = select.select([self._control], [], [], timeout_s)
        if not readable:
            return
        try:
            received = self._control.recv(1 << 20)
        except ConnectionError:
            received = b""
        if not received:
            raise self._guardian_gone()
        *lines, self._unread = (self._unread + received).split(b"\n")
        self._heard += [json.loads(line) for line in lines]

    def _understand(self, message: dict[str, Any]) -> tuple[Happening, ...]:
        said = message.pop("say")
        if said == "failed":
            raise _refused(message)
        if said == "exited":
            log = self._logs.get((message["member"], message["process"]))
            last = log.read_lines(to_end=True) if log else ()
            who = {"member": message["member"], "process": message["process"]}
            return (*(Line(text=text, **who) for text in last), Exited(**message))
        return (Usage(**message),) if said == "usage" else ()

    def _guardian_gone(self) -> ShardwrightError:
        self._adopt_orphans()
        return ShardwrightError(
            code="guardian-gone",
            what="The process that watches over the rehearsal ended unexpectedly.",
            cause=f"see {self._directory / 'logs' / 'guardian.log'}",
            remedy="run the rehearsal again; what it had started has been ended",
        )

    def _adopt_orphans(self) -> None:
        """End what a killed guardian left to us: as subreaper we are its children's new parent."""
        if self._guardian.poll() is None:
            self._guardian.kill()
            self._guardian.wait()
        elif self._guardian.returncode == 0:
            return
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            family = proctree.descendants(os.getpid(), proctree.processes())
            orphans = [p for p in family if p.start_ticks >= self._born]
            if not orphans:
                return
            for orphan in orphans:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(orphan.pid, signal.SIGKILL)
                    os.waitpid(orphan.pid, os.WNOHANG)
            time.sleep(0.02)


def _refused(message: dict[str, Any]) -> ShardwrightError:
    if message["op"] == "begin":
        return ShardwrightError(
            code="no-namespaces",
            what="The members' network namespaces could not be made.",
            cause=message["why"],
            remedy="run as root with iproute2 installed, or rehearse with --nodes processes",
        )
    return ShardwrightError(
        code="process-refused",
        what=f"A program of the rehearsal could not be handled ({message['op']}).",
        cause=message["why"],
        remedy="check the engine environment with `shardwright engines verify`",
    )


def _start_ticks(pid: int) -> int:
    own = (p.start_ticks for p in proctree.processes() if p.pid == pid)
    return next(own, 0)
