"""Starts the members of a group in the plan's own order and waits until the endpoint is ready.

The order is the plan's: what a process comes after, set-up steps that end, startup probes that must
pass. A program that dies is noticed at once and told with its own last words.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan, Member
from shardwright.model.process import ExecCheck, HttpCheck, Probe, Process, TcpCheck
from shardwright.model.running import Exited, Http, Unreachable
from shardwright.model.text import Text
from shardwright.rehearse.events import Event, ProcessStarted, Ready, Waiting
from shardwright.rehearse.rendezvous import RAY
from shardwright.rehearse.resolve import Place, Surroundings, command_of, probe_of
from shardwright.rehearse.watch import Watch

_PROBE_EVERY_S = 1.0
_SAY_EVERY_S = 1.0
_LAST_WORDS = 12


@dataclass(slots=True, kw_only=True)
class Starter:
    """One start of one group."""

    watch: Watch
    http: Http
    around: Surroundings
    evidence_pattern: str
    timeout_s: float
    _running: set[tuple[int, str]] = field(default_factory=set)
    _passed: set[tuple[int, str]] = field(default_factory=set)
    _heard_exits: int = 0
    _attempts: dict[tuple[int, str], int] = field(default_factory=dict)

    def run(self) -> Iterator[Event]:
        """Start everything; returns once every process runs and every startup probe passed.

        Raises ShardwrightError if a program dies or the timeout (seconds) passes.
        """
        plan, watch = self.watch.plan, self.watch
        self._heard_exits = len(watch.exits)
        began = watch.elapsed_s()
        said = began
        probed = began - _PROBE_EVERY_S
        while True:
            yield from self._start_what_may(plan)
            for event in watch.listen(0.2):
                said = watch.elapsed_s()
                yield event
            self._hear_exits(plan)
            now = watch.elapsed_s()
            if now - probed >= _PROBE_EVERY_S:
                probed = now
                self._probe_all(plan)
            if self._is_up(plan):
                yield Ready(at_s=now - began, budget_s=plan.budgets.startup_s)
                return
            if now - began > self.timeout_s:
                raise self._late(now - began)
            if now - said >= _SAY_EVERY_S:
                said = now
                yield Waiting(at_s=now - began, what=watch.pending() or "the startup probe")

    # --- the order -----------------------------------------------------------------------------

    def _start_what_may(self, plan: LaunchPlan) -> Iterator[Event]:
        for member, process in _all(plan):
            key = (member.index, process.name)
            if key in self._running or not self._may_start(member, process):
                continue
            seats = self.watch.supervisor.seats
            self.watch.supervisor.start(command_of(plan, member, process, seats, self.around))
            self._running.add(key)
            self.watch.follow(*key)
            if process.probes.startup is None and not process.is_setup:
                self._passed.add(key)
            at_s = self.watch.elapsed_s()
            yield ProcessStarted(member=member.index, process=process.name, at_s=at_s)

    def _may_start(self, member: Member, process: Process) -> bool:
        # `ray start` gives up early on a head that is not there yet
        if process.name == RAY and member.index and (0, RAY) not in self._passed:
            return False
        return all((member.index, before) in self._passed for before in process.after)

    def _is_up(self, plan: LaunchPlan) -> bool:
        return all((member.index, process.name) in self._passed for member, process in _all(plan))

    # --- probes --------------------------------------------------------------------------------

    def _probe_all(self, plan: LaunchPlan) -> None:
        for member, process in _all(plan):
            key = (member.index, process.name)
            probe = process.probes.startup
            if (
                probe
                and key in self._running - self._passed
                and self._check(member, process, probe)
            ):
                self._passed.add(key)

    def _check(self, member: Member, process: Process, probe: Probe) -> bool:
        ports = {port.name: port.number for port in process.ports}
        address = self.watch.supervisor.seats[member.index].address
        listens = self.watch.supervisor.is_listening
        match probe.check:
            case TcpCheck(port=port):
                return listens(member.index, ports[port])
            case HttpCheck(port=port) if not listens(member.index, ports[port]):
                return False  # whatever answers there is another's
            case HttpCheck(path=path, port=port):
                url = f"http://{address}:{ports[port]}{path}"
                try:
                    reply = self.http.send(url, body=None, key=None, timeout_s=probe.timeout_s)
                except Unreachable:
                    return False
                return 200 <= reply.status < 400
            case ExecCheck(argv=argv):
                return self._execute(member, process, argv)

    def _execute(self, member: Member, process: Process, argv: tuple[Text, ...]) -> bool:
        """Run a probe's command on the member, one at a time; the verdict is heard later."""
        plan, seats = self.watch.plan, self.watch.supervisor.seats
        tried = self._attempts.get((member.index, process.name), 0)
        last = f"{process.name}.probe{tried}"
        verdicts = [
            x.code for _, x in self.watch.exits if (x.member, x.process) == (member.index, last)
        ]
        if 0 in verdicts:
            return True
        if verdicts or not tried:
            self._attempts[member.index, process.name] = tried + 1
            place = Place(plan=plan, member=member, seats=seats, secrets=self.around.secrets)
            beside = command_of(plan, member, process, seats, self.around)
            self.watch.supervisor.start(probe_of(beside, argv, place, attempt=tried + 1))
        return False

    # --- what goes wrong -----------------------------------------------------------------------

    def _hear_exits(self, plan: LaunchPlan) -> None:
        new, self._heard_exits = self.watch.exits[self._heard_exits :], len(self.watch.exits)
        for at_s, gone in new:
            member = plan.group.members[gone.member]
            process = next((p for p in member.processes if p.name == gone.process), None)
            if process is None:
                continue  # a probe's command
            if process.is_setup and gone.code == 0:
                self._passed.add((gone.member, gone.process))
                continue
            raise died(self.watch, gone, at_s, self.evidence_pattern)

    def _late(self, elapsed_s: float) -> ShardwrightError:
        pending = self.watch.pending() or "the startup probe"
        last = [x.text for x in self.watch.lines[-_LAST_WORDS:]]
        return ShardwrightError(
            code="not-ready-in-time",
            what=f"The endpoint was not ready after {elapsed_s:.0f} s; it waited for {pending}.",
            cause="\n        ".join(["last lines:", *last]),
            remedy="give it longer with --timeout, or read the logs named above",
        )


def died(watch: Watch, gone: Exited, at_s: float, evidence_pattern: str) -> ShardwrightError:
    """Tell that a program ended that should have stayed, with the lines that say why."""
    how = f"ended with status {gone.code}"
    cause_of_signal = None
    if gone.code < 0:
        name = signal.Signals(-gone.code).name
        how = f"was killed by {name}"
        if -gone.code == signal.SIGKILL:
            cause_of_signal = "nobody here sent it: most often the kernel, out of memory"
    own = [x.text for x in watch.lines if (x.member, x.process) == (gone.member, gone.process)]
    telling = [line for line in own if re.search(evidence_pattern, line)][-_LAST_WORDS:]
    evidence = telling or own[-_LAST_WORDS:] or ["it wrote nothing"]
    return ShardwrightError(
        code="process-died",
        what=f"{gone.process} of member {gone.member} {how} after {at_s:.0f} s.",
        cause="\n        ".join([*([cause_of_signal] if cause_of_signal else []), *evidence]),
        remedy=f"read logs/member-{gone.member}.{gone.process}.log in the run directory",
    )


def _all(plan: LaunchPlan) -> Iterator[tuple[Member, Process]]:
    for member in plan.group.members:
        for process in member.processes:
            yield member, process
