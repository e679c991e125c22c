"""The fault drill: kill one rank, see what the endpoint does, and whether a restart mends it.

The victim is a rank of the last stage, on the last member: the farthest from the HTTP server, so
that everything between has to notice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from shardwright.model.finding import Finding, Severity
from shardwright.model.running import Unreachable
from shardwright.rehearse.events import Event, Note
from shardwright.rehearse.watch import Watch
from shardwright.verify.client import BadAnswer, Client
from shardwright.verify.identity import RankSeen

NOTICE_WITHIN_S = 90.0
_LOOK_EVERY_S = 0.5
_LONG = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What happened after a rank was killed; seconds after the kill, None: not within the limit.

    in_flight: what became of a request that was running. health_failed_s: the health check no
    longer passed; exited_s: the first program of the plan ended, which is what Kubernetes sees;
    recovered_s: a fresh group answered a chat completion again.
    """

    rank: int
    member: int
    pid: int
    in_flight: str
    health_failed_s: float | None
    exited_s: float | None
    exited: str | None
    recovered_s: float | None = None
    limit_s: float = NOTICE_WITHIN_S

    @property
    def noticed_s(self) -> float | None:
        """When anything that watches the endpoint could first know."""
        times = [t for t in (self.health_failed_s, self.exited_s) if t is not None]
        return min(times, default=None)


@dataclass(slots=True, kw_only=True)
class _InFlight:
    """A request that is running while the rank dies, on a thread of its own."""

    client: Client
    fate: str = "unanswered"
    tokens: int = 0
    began: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            for _ in self.client.stream_chat("Count the layers.", _LONG):
                self.tokens += 1
                self.began.set()
            self.fate = "finished"
        except (Unreachable, BadAnswer, ValueError) as error:
            self.fate = f"failed after {self.tokens} chunks: {error}"
        finally:
            self.began.set()


def findings_of(drill: Drill, health_path: str) -> Iterator[Finding]:
    """What a drill teaches about the deployment."""
    if drill.noticed_s is None:
        yield Finding(
            code="loss-unnoticed",
            severity=Severity.WARNING,
            what=f"A rank was gone for {drill.limit_s:.0f} s: {health_path} kept passing and no "
            "program ended.",
            why="the request in flight was " + drill.in_flight,
            remedy="probe with a completion, or watch request latency; nothing else will tell",
        )
    elif drill.health_failed_s is None:
        yield Finding(
            code="loss-unnoticed-by-health",
            severity=Severity.WARNING,
            what=f"{health_path} kept passing for {drill.limit_s:.0f} s after a rank was gone; "
            f"only the end of a program told: {drill.exited}, {drill.noticed_s:.0f} s after.",
            why="the request in flight was " + drill.in_flight,
            remedy="let the loss of any member restart the whole group, as this launch plan does; "
            "a liveness probe on the leader is not enough",
        )


def victim_of(ranks: tuple[RankSeen, ...]) -> RankSeen:
    """The last rank: last stage, last member."""
    return max(ranks, key=lambda rank: rank.index)


def kill_rank(
    watch: Watch, client: Client, victim: RankSeen, health_path: str
) -> Iterator[Event | Drill]:
    """Kill a rank and watch the endpoint; the Drill comes last."""
    request = _InFlight(client=client)
    thread = threading.Thread(target=request.run, daemon=True)
    thread.start()
    request.began.wait(60.0)
    exits_before = len(watch.exits)
    killed_at = watch.elapsed_s()
    watch.supervisor.kill(victim.pid)
    yield Note(text=f"killed rank {victim.index} (process {victim.pid}, member {victim.member})")
    health_failed = exited_at = exited = None
    while watch.elapsed_s() - killed_at < NOTICE_WITHIN_S:
        for _ in watch.listen(_LOOK_EVERY_S):
            pass
        if exited_at is None and len(watch.exits) > exits_before:
            at_s, gone = watch.exits[exits_before]
            exited_at = at_s - killed_at
            exited = f"{gone.process} of member {gone.member}, status {gone.code}"
            yield Note(text=f"{exited} ended {exited_at:.1f} s after the kill")
        if health_failed is None and not _is_healthy(client, health_path):
            health_failed = watch.elapsed_s() - killed_at
            yield Note(text=f"{health_path} failed {health_failed:.1f} s after the kill")
        if exited_at is not None and health_failed is not None:
            break
    thread.join(timeout=5.0)
    yield Drill(
        rank=victim.index,
        member=victim.member,
        pid=victim.pid,
        in_flight=request.fate if not thread.is_alive() else "left hanging",
        health_failed_s=health_failed,
        exited_s=exited_at,
        exited=exited,
    )


def _is_healthy(client: Client, path: str) -> bool:
    try:
        return client.status(path, timeout_s=5.0) == 200
    except Unreachable:
        return False
