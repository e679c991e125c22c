"""The whole rehearsal: start, prove, compare, drill, stop, report.

A generator of events whose value is the report. It owns no process: the supervisor is the caller's,
who ends it whatever happens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding, Severity
from shardwright.model.launch import LaunchPlan
from shardwright.model.running import Clock, Http, Leftovers, Supervisor, Unreachable
from shardwright.rehearse.drill import Drill, findings_of, kill_rank, victim_of
from shardwright.rehearse.events import Event, Note, PhaseDone, Ready, Stage
from shardwright.rehearse.job import Job
from shardwright.rehearse.notices import noticed
from shardwright.rehearse.reference import single_process
from shardwright.rehearse.report import (
    MemberUsage,
    Report,
    layout_words,
    not_proved_by,
    proved_by,
)
from shardwright.rehearse.start import Starter, died
from shardwright.rehearse.watch import Watch
from shardwright.verify.agreement import Agreement, Chosen, compare
from shardwright.verify.attempts import Check, tried
from shardwright.verify.client import BadAnswer, Client
from shardwright.verify.identity import RankMatch, match_ranks, ranks_seen
from shardwright.verify.proof import Prover, choose_all, score_all

GRACE_S = 4.0
"""Programs get this long to end by themselves; the engine leaves files behind either way."""


@dataclass(slots=True, kw_only=True)
class Session:
    """A job being done, and what was found so far."""

    job: Job
    supervisor: Supervisor
    http: Http
    clock: Clock
    _phases: list[PhaseDone] = field(default_factory=list)
    _checks: list[Check] = field(default_factory=list)
    _removed: list[Leftovers] = field(default_factory=list)
    _findings: list[Finding] = field(default_factory=list)
    _ready_s: float = 0.0

    def run(self) -> Generator[Event, None, Report]:
        """Do the job. Raises ShardwrightError if the group cannot be started or dies."""
        began = self.clock.now()
        watch = self._watch(self.job.plan)
        yield Stage(name="start", title=f"Starting {layout_words(self.job.plan)}")
        for event in self._start(watch):
            if isinstance(event, PhaseDone):
                self._phases.append(event)
            if isinstance(event, Ready):
                self._ready_s = event.at_s
            yield event
        yield Stage(name="prove", title="Asking the endpoint")
        for check in self._prover(self.job.plan).checks():
            self._checks.append(check)
            yield check
            self._still_alive(watch)
        chosen = yield from self._choose()
        ranks = self._identify(watch)
        self._findings += noticed(watch.lines, self.job.rules)
        if self.job.load is not None:
            yield Stage(name="bench", title="Loading the endpoint")
            client = self._client(self.job.plan)
            phases = tuple(self._phases)
            for check in self.job.load(client.base, client.model, client.key, phases):
                self._checks.append(check)
                yield check
            self._still_alive(watch)
        drill = (yield from self._drill(watch)) if self.job.with_drill else None
        usage = self._usage(watch)
        yield from self._stop()
        agreement = (yield from self._compare(chosen)) if chosen else None
        return self._report(ranks, agreement, usage, drill, self.clock.now() - began)

    # --- parts ---------------------------------------------------------------------------------

    def _watch(self, plan: LaunchPlan) -> Watch:
        return Watch(plan=plan, supervisor=self.supervisor, clock=self.clock)

    def _start(self, watch: Watch) -> Iterator[Event]:
        starter = Starter(
            watch=watch,
            http=self.http,
            around=self.job.around,
            evidence_pattern=self.job.rules.evidence_pattern,
            timeout_s=self.job.timeout_s,
        )
        return starter.run()

    def _stop(self) -> Iterator[Event]:
        yield Stage(name="stop", title="Stopping every process")
        self._removed.append(self.supervisor.stop(GRACE_S))

    def _client(self, plan: LaunchPlan) -> Client:
        endpoint = plan.endpoints[0]
        ports = {
            (process.name, port.name): port.number
            for process in plan.group.members[0].processes
            for port in process.ports
        }
        number = ports[endpoint.process, endpoint.port]
        secret = endpoint.api_key
        key = self.job.around.secrets[secret.secret, secret.key] if secret else None
        base = f"http://{self.supervisor.seats[0].address}:{number}"
        return Client(http=self.http, base=base, model=plan.served_name, key=key)

    def _prover(self, plan: LaunchPlan) -> Prover:
        return Prover(
            client=self._client(plan),
            clock=self.clock,
            vocab_size=self.job.vocab_size,
            health_path=plan.endpoints[0].health_path,
        )

    def _still_alive(self, watch: Watch) -> None:
        self._phases += watch.listen(0.0)  # a phase's line may come after the endpoint answers
        stays = {
            (member.index, process.name)
            for member in watch.plan.group.members
            for process in member.processes
            if not process.is_setup
        }
        for at_s, gone in watch.exits:
            if (gone.member, gone.process) in stays:
                raise died(watch, gone, at_s, self.job.rules.evidence_pattern)

    def _choose(self) -> Generator[Event, None, tuple[tuple[Chosen, ...], ...] | None]:
        if not self.job.with_comparison:
            return None
        try:
            return choose_all(self._client(self.job.plan), self.job.vocab_size)
        except (Unreachable, BadAnswer) as error:
            check = Check(name="tokens", passed=False, detail=str(error), took_s=0.0)
            self._checks.append(check)
            yield check
            return None

    def _identify(self, watch: Watch) -> tuple[RankMatch, ...]:
        seen = ranks_seen(watch.lines, self.job.rules, self.supervisor.seats)
        return match_ranks(self.job.plan, seen)

    def _compare(
        self, chosen: tuple[tuple[Chosen, ...], ...]
    ) -> Generator[Event, None, Agreement | None]:
        yield Stage(name="compare", title="Scoring the same tokens in one process")
        alone = single_process(self.job.plan, self.job.rules)
        watch = self._watch(alone)
        yield from (event for event in self._start(watch) if not isinstance(event, PhaseDone))
        agreement = None
        try:
            scored = score_all(self._client(alone), self.job.vocab_size, chosen)
            agreement = compare(chosen, scored, vocab_size=self.job.vocab_size)
        except (Unreachable, BadAnswer) as error:
            self._checks.append(
                Check(name="reference", passed=False, detail=str(error), took_s=0.0)
            )
        self._removed.append(self.supervisor.stop(GRACE_S))
        return agreement

    def _drill(self, watch: Watch) -> Generator[Event, None, Drill | None]:
        seen = ranks_seen(watch.lines, self.job.rules, self.supervisor.seats)
        if not seen:
            self._findings.append(_no_victim())
            return None
        victim = victim_of(seen)
        yield Stage(name="drill", title=f"Killing rank {victim.index}")
        drill: Drill | None = None
        health_path = self.job.plan.endpoints[0].health_path
        for event in kill_rank(watch, self._client(self.job.plan), victim, health_path):
            if isinstance(event, Drill):
                drill = event
            else:
                yield event
        if drill is None:
            raise AssertionError("a drill without a result")
        self._findings += findings_of(drill, health_path)
        began = self.clock.now()
        self._removed.append(self.supervisor.stop(GRACE_S))
        yield Note(text="restarting the group, as the deployment does when a member is lost")
        again = self._watch(self.job.plan)
        try:
            yield from (e for e in self._start(again) if not isinstance(e, PhaseDone))
        except ShardwrightError as error:
            yield Note(text=f"the restart failed: {error}")
            return drill
        client = self._client(self.job.plan)
        answer = tried("chat after the restart", lambda: _chats(client), self.clock)
        yield answer
        self._checks.append(answer)
        took = self.clock.now() - began
        return replace(drill, recovered_s=took if answer.passed else None)

    def _usage(self, watch: Watch) -> tuple[MemberUsage, ...]:
        reserved = self.job.deployed.group.members
        return tuple(
            MemberUsage(
                member=peak.member,
                memory_bytes=peak.memory_bytes,
                memory_reserved_bytes=reserved[peak.member].memory_bytes,
                shm_bytes=peak.shm_bytes,
                shm_reserved_bytes=reserved[peak.member].shm_bytes,
                num_processes=peak.num_processes,
            )
            for _, peak in sorted(watch.peaks.items())
        )

    def _report(
        self,
        ranks: tuple[RankMatch, ...],
        agreement: Agreement | None,
        usage: tuple[MemberUsage, ...],
        drill: Drill | None,
        took_s: float,
    ) -> Report:
        job = self.job
        checks = tuple(self._checks)
        return Report(
            name=job.deployed.name,
            model=job.deployed.model,
            engine=job.deployed.engine,
            engine_version=job.deployed.engine_version,
            rehearsed_version=job.version,
            mechanism=job.deployed.mechanism.value,
            deployed=layout_words(job.deployed),
            rehearsed=layout_words(job.plan),
            nodes=job.nodes,
            ready_s=self._ready_s,
            took_s=took_s,
            phases=tuple(self._phases),
            checks=checks,
            ranks=ranks,
            agreement=agreement,
            compared_with="one process, every layer on one rank" if agreement else None,
            usage=usage,
            drill=drill,
            changes=job.changes,
            findings=tuple(self._findings),
            leftovers=_together(self._removed),
            proved=proved_by(job.plan, checks, ranks, agreement, drill),
            not_proved=not_proved_by(job.changes),
        )


def _chats(client: Client) -> str:
    made = client.chat("Are you back?", 4)["usage"]["completion_tokens"]
    return f"{made} tokens"


def _no_victim() -> Finding:
    return Finding(
        code="drill-without-victim",
        severity=Severity.WARNING,
        what="The drill was left out: the engine's log names no rank's process.",
    )


def _together(parts: list[Leftovers]) -> Leftovers:
    return Leftovers(
        killed=tuple(sorted({name for part in parts for name in part.killed})),
        removed=tuple(name for part in parts for name in part.removed),
        remaining=tuple(name for part in parts for name in part.remaining),
    )
