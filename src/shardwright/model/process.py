"""A process of a member: its command line, environment, ports, probes and phases."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shardwright.model.text import Text


class Per(Enum):
    """How many of a process run on a member. One per rank is started by the rendezvous (mpirun)."""

    MEMBER = "member"
    RANK = "rank"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port a process listens on, and whether clients outside the group may use it."""

    name: str
    number: int
    is_public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """Healthy if GET path answers 2xx or 3xx."""

    path: str
    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """Healthy if the port accepts a connection."""

    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecCheck:
    """Healthy if the command exits 0."""

    argv: tuple[Text, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A check, every period_s; the verdict turns after failures misses in a row."""

    check: HttpCheck | TcpCheck | ExecCheck
    period_s: int
    timeout_s: int
    failures: int

    @property
    def budget_s(self) -> int:
        """Seconds of failure that are tolerated.

        >>> Probe(check=TcpCheck(port="http"), period_s=10, timeout_s=5, failures=6).budget_s
        60
        """
        return self.period_s * self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Probes of a process; None where there is none, which is a decision, not an oversight."""

    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A milestone of a start: done once a log line matches the pattern.

    name: weights, load, compile, graphs, ready. budget_s: counted from the end of the one before.
    """

    name: str
    pattern: str
    budget_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """One environment variable; why: a reason for people, shown by --explain."""

    name: str
    value: Text
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One program of a member.

    after: names of processes on the same member that go first. is_setup: ends by itself, with
    status 0, before those after it start; any other process stays, and those after it start once
    its startup probe passes (at once if it has none). ranks: the ranks of the member that a process
    per rank is for; None: all of them.
    """

    name: str
    argv: tuple[Text, ...]
    env: tuple[EnvVar, ...] = ()
    ports: tuple[Port, ...] = ()
    after: tuple[str, ...] = ()
    probes: Probes = Probes()
    is_setup: bool = False
    per: Per = Per.MEMBER
    ranks: tuple[int, ...] | None = None
    phases: tuple[Phase, ...] = ()
