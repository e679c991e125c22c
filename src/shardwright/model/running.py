"""Ports through which a launch plan becomes running programs on this machine.

`shardwright.rehearse` talks to these; `shardwright.drive` has the real ones (processes, network
namespaces, sockets, the clock) and tests have in-memory ones. Durations are seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where a member of a group sits: its own address, as every other member reaches it."""

    member: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One program to start on one member, every symbol resolved. env is the whole environment."""

    member: int
    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a program wrote, without its line end."""

    member: int
    process: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """A program ended. code: its exit status, or minus the number of the signal that ended it."""

    member: int
    process: str
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What all programs of one member use at one moment.

    memory_bytes: proportional set size, shared pages divided among their users; shm_bytes: what
    lies in the member's /dev/shm and belongs to the rehearsal.
    """

    member: int
    memory_bytes: int
    shm_bytes: int
    num_processes: int


Happening = Line | Exited | Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What a clean-up had to remove by force, and what it could not remove."""

    killed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()


class Supervisor(Protocol):
    """Starts programs, hears what happens to them, and leaves nothing of them behind."""

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The seats of the group, member 0 first."""
        ...

    def start(self, command: Command) -> None:
        """Start a program; raises ShardwrightError if it cannot be started."""
        ...

    def poll(self, timeout_s: float) -> tuple[Happening, ...]:
        """Return what happened since the last poll, waiting at most timeout_s for the first."""
        ...

    def is_listening(self, member: int, port: int) -> bool:
        """Tell whether a program of this rehearsal listens on a port of a member."""
        ...

    def kill(self, pid: int) -> None:
        """Kill one process of the group outright, as a crash or the kernel would."""
        ...

    def stop(self, grace_s: float) -> Leftovers:
        """End every program, by force after grace_s, and remove what they left.

        What they said and how they ended until then is no longer told by `poll`.
        """
        ...


class Clock(Protocol):
    """Time that a test can own."""

    def now(self) -> float:
        """Seconds since some fixed moment, never going back."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let time pass."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes


class Unreachable(Exception):  # noqa: N818  (a state of the network, seen and handled, not a fault)
    """Nothing answered: refused, reset, timed out or cut short. The message says which."""


class Http(Protocol):
    """A small HTTP client. Raises Unreachable if no complete answer arrived within timeout_s."""

    def send(
        self, url: str, *, body: Mapping[str, Any] | None, key: str | None, timeout_s: float
    ) -> Reply:
        """GET, or POST of a JSON body; key: a bearer token."""
        ...

    def stream(
        self, url: str, *, body: Mapping[str, Any], key: str | None, timeout_s: float
    ) -> Iterator[str]:
        """POST, then yield the data of each server-sent event as it comes."""
        ...
