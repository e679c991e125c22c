"""Keep the members of a group together: all start again if one is lost, all wait before one ends.

Runs beside the engine in every member of a group. Ranks cannot rejoin a running group, an engine
may answer its health check for minutes after it lost a rank, and who only counts pods sees neither.

Every member has an id, new at each start of its container. A worker greets the leader every few
seconds with its own id and that of the leader it first met (the generation it belongs to); the
leader answers with its id. The group is broken for a worker when the leader's id changes or the
leader stays silent, and for the leader when a worker of its own generation stays silent or comes
back with another id, or when the engine that served stops answering its health check. What broke it
is written to a file, which a liveness probe looks for.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_LINE = 1024
ANSWER_S = 5
LEAVE = "leave"
ESTABLISHED = "01"
"""Number of the state in /proc/net/tcp. Source: Linux, include/net/tcp_states.h."""


class Roll:
    """What the leader knows of its workers: ids and times in, what is broken out."""

    def __init__(self, own_id: str, patience_s: float) -> None:
        self.own_id = own_id
        self.patience_s = patience_s
        self.workers: dict[str, tuple[str, float]] = {}

    def greet(self, index: str, worker_id: str, follows: str | None, now: float) -> str | None:
        """Note a greeting. One of another generation comes from a worker about to start again."""
        if follows != self.own_id:
            return None
        known = self.workers.get(index)
        if known is not None and known[0] != worker_id:
            return f"member {index} was restarted"
        self.workers[index] = (worker_id, now)
        return None

    def silent(self, now: float) -> str | None:
        """Name a worker that has not greeted for too long."""
        for index, (_, seen) in sorted(self.workers.items()):
            if now - seen > self.patience_s:
                return f"member {index} has been silent for {now - seen:.0f} s"
        return None


class Follower:
    """What a worker knows of its leader: ids and times in, what is broken out."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self.leader_id: str | None = None
        self.seen: float | None = None

    def heard(self, leader_id: str, now: float) -> str | None:
        """Note an answer; the first one decides which generation this worker belongs to."""
        if self.leader_id is None:
            self.leader_id = leader_id
        if leader_id != self.leader_id:
            return "the leader was restarted"
        self.seen = now
        return None

    def silent(self, now: float) -> str | None:
        """Say that the leader has not answered for too long; before it first did, nothing."""
        if self.seen is not None and now - self.seen > self.patience_s:
            return f"the leader has been silent for {now - self.seen:.0f} s"
        return None


class Health:
    """What is known of the engine's health check: answers and times in, what is broken out."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self.seen: float | None = None

    def asked(self, *, answered: bool, now: float) -> str | None:
        """Note one question. Before the first answer nothing is broken: the engine is starting."""
        if answered:
            self.seen = now
        if self.seen is None or now - self.seen <= self.patience_s:
            return None
        return f"the engine has failed its health check for {now - self.seen:.0f} s"


class Drain:
    """What is known of the requests in flight while the group is to end.

    count: how many there are; None when nobody finishes any. quiet_s: for how long there must have
    been none, since some are still on their way and an engine may count anew only now and then.
    leaving_file: there while a member is about to end; None: nobody looks for it.
    """

    def __init__(
        self, count: Callable[[], int | None], quiet_s: float, patience_s: float,
        leaving_file: Path | None = None,
    ) -> None:  # fmt: skip
        self.count = count
        self.quiet_s = quiet_s
        self.patience_s = patience_s
        self.leaving_file = leaving_file
        self.asked: float | None = None
        self.quiet_since: float | None = None
        self.lock = threading.Lock()

    def may_end(self, now: float) -> bool:
        """Tell a member that asks whether it may end."""
        with self.lock:
            self.asked = now
            self._mark()
            left = self.count()
            if left is None:
                return True
            if left:
                self.quiet_since = None
            elif self.quiet_since is None:
                self.quiet_since = now
            return self.quiet_since is not None and now - self.quiet_since >= self.quiet_s

    def is_leaving(self, now: float) -> bool:
        """Tell whether a member is about to end; not if it ended long ago and this one stayed."""
        with self.lock:
            if self.asked is not None and now - self.asked > self.patience_s:
                self.asked = self.quiet_since = None
            self._mark()
            return self.asked is not None

    def _mark(self) -> None:
        if self.leaving_file is None:
            return
        if self.asked is None:
            self.leaving_file.unlink(missing_ok=True)
        else:
            self.leaving_file.touch()


def lead(
    port: int, roll: Roll, drain: Drain, period_s: float, report: Callable[[str], None]
) -> None:
    """Answer greetings and watch for silence, for ever."""
    lock = threading.Lock()
    server = socket.create_server(("", port), backlog=64)

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(ANSWER_S)
            try:
                message = _read(connection)
                if message == LEAVE:
                    connection.sendall(_line(drain.may_end(time.monotonic())))
                    return
                index, worker_id, follows = message
                connection.sendall(_line(roll.own_id))
                with lock:
                    broken = roll.greet(str(index), str(worker_id), follows, time.monotonic())
            except (OSError, ValueError, TypeError):
                return  # not a member
        if broken:
            report(broken)

    def accept() -> None:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    while True:
        time.sleep(period_s)
        with lock:
            broken = roll.silent(time.monotonic())
        if broken:
            report(broken)
        drain.is_leaving(time.monotonic())


def follow(
    leader: tuple[str, int], index: str, follower: Follower, period_s: float,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    """Greet the leader and watch for silence, for ever.

    Where it answered once it is asked again, and its name is looked up only if that fails: while
    DNS is away a group that works must not be taken for a broken one.
    """
    own_id = uuid.uuid4().hex
    place = leader
    while True:
        try:
            with socket.create_connection(place, timeout=ANSWER_S) as connection:
                connection.sendall(_line([index, own_id, follower.leader_id]))
                answer = _read(connection)
                place = connection.getpeername()[:2]
            broken = follower.heard(str(answer), time.monotonic())
        except (OSError, ValueError):
            place = leader
            broken = follower.silent(time.monotonic())
        if broken:
            report(broken)
        time.sleep(period_s)


def ask(
    port: int, path: str, timeout_s: float, health: Health, period_s: float,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    """Ask the engine in this pod whether it is well, for ever; no proxy is ever in between."""
    while True:
        broken = health.asked(answered=_answers(port, path, timeout_s), now=time.monotonic())
        if broken:
            report(broken)
        time.sleep(period_s)


def _answers(port: int, path: str, timeout_s: float) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return 200 <= connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def requests_left(port: int, path: str, gauges: list[str]) -> int | None:
    """Count the requests of the engine in this pod by its own gauges; None when nobody listens.

    Without gauges, or with an engine too busy to say, what is connected to the port counts.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.connect()
        if not gauges:
            return connected(port)
        connection.request("GET", path)
        return total(connection.getresponse().read().decode(), gauges)
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError, http.client.HTTPException):
        return connected(port)
    finally:
        connection.close()


def total(exposed: str, gauges: list[str]) -> int:
    """Add up gauges in the text form of Prometheus, whatever their labels.

    >>> total('requests{model="a"} 2.0\\nrequests{model="b"} 1.0\\ncache 0.5', ["requests"])
    3
    """
    named = ((re.split(r"[{ ]", line, maxsplit=1)[0], line) for line in exposed.splitlines())
    return round(sum(float(line.rpartition(" ")[2]) for name, line in named if name in gauges))


def connected(port: int) -> int:
    """Count the connections to a port of this pod, those from the pod itself left out."""
    found = 0
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, own, peer, state = line.split()[:4]
            (host, _, own_port), peer_host = own.partition(":"), peer.partition(":")[0]
            found += state == ESTABLISHED and int(own_port, 16) == port and host != peer_host
    return found


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _read(connection: socket.socket) -> Any:
    return json.loads(connection.makefile("rb").readline(MAX_LINE).decode())


def main() -> None:
    """Read the command line and keep watch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--index", required=True, help="0 leads; a worker's is any name")
    parser.add_argument("--leader", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--broken-file", type=Path, required=True)
    parser.add_argument("--period-s", type=float, default=3)
    parser.add_argument("--patience-s", type=float, default=30)
    parser.add_argument("--health-port", type=int)
    parser.add_argument("--health-path", default="/health")
    parser.add_argument("--health-period-s", type=float, default=10)
    parser.add_argument("--health-timeout-s", type=float, default=10)
    parser.add_argument("--health-patience-s", type=float, default=60)
    parser.add_argument("--leaving-file", type=Path, help="of the leader, while the group ends")
    parser.add_argument("--metrics-port", type=int)
    parser.add_argument("--metrics-path", default="/metrics")
    parser.add_argument("--gauges", nargs="*", default=[], help="requests running and waiting")
    parser.add_argument("--quiet-s", type=float, default=10)
    options = parser.parse_args()
    options.broken_file.unlink(missing_ok=True)

    def report(broken: str) -> None:
        if not options.broken_file.exists():
            print(f"shardwright: the group is broken: {broken}", flush=True)  # noqa: T201
            options.broken_file.write_text(broken + "\n")

    if options.health_port:
        health = Health(options.health_patience_s)
        question = (options.health_port, options.health_path, options.health_timeout_s)
        asking = (*question, health, options.health_period_s, report)
        threading.Thread(target=ask, args=asking, daemon=True).start()
    if options.index == "0":
        roll = Roll(uuid.uuid4().hex, options.patience_s)
        drain = Drain(_counting(options), options.quiet_s, options.patience_s, options.leaving_file)
        lead(options.port, roll, drain, options.period_s, report)
    else:
        leader = (options.leader, options.port)
        follow(leader, options.index, Follower(options.patience_s), options.period_s, report)


def _counting(options: argparse.Namespace) -> Callable[[], int | None]:
    """Make what counts requests; a group that is broken finishes none, however many there are."""

    def count() -> int | None:
        if options.metrics_port is None or options.broken_file.exists():
            return None
        return requests_left(options.metrics_port, options.metrics_path, options.gauges)

    return count


if __name__ == "__main__":
    main()
