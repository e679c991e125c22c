"""The fault drill on Kubernetes: something happens; who notices, when, what users see.

Called by `rehearse --cluster --drill`. What happens is the caller's: this room only looks, at pods
and events, and asks the endpoint all the while as a user would.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from shardwright.model.cluster import Cluster, Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Clock, Unreachable
from shardwright.rehearse.events import Note
from shardwright.verify.client import BadAnswer

MARGIN_S = 60
"""Beyond its start budget, how long a group may take until it answers again."""

QUIET_S = 60.0
"""An incident that nobody has noticed for so long does not touch the group."""

LOOK_EVERY_S = 1.0
SETTLE_S = 30.0
"""A group whose pods have not changed for so long has nothing more to come: pods without a probe
count as ready at once, and the watch beside each member looks every few seconds."""

GOOD_ANSWERS = 3
"""Answers in a row, with every pod ready, after which a group counts as recovered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something to do to a running group.

    victims: pods whose own end is the incident, so that it is no sign of notice; mend: what a
    person does in the end, mend_after_s after the strike.
    """

    name: str
    title: str
    strike: Callable[[], None]
    victims: frozenset[str] = frozenset()
    mend: Callable[[], None] | None = None
    mend_after_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What followed. Seconds since the strike; None: not within limit_s.

    noticed_by: who first showed a sign, in words; num_failed of num_asked requests failed, the
    first after failed_s.
    """

    incident: str
    title: str
    noticed_by: str | None
    noticed_s: float | None
    recovered_s: float | None
    limit_s: float
    num_asked: int
    num_failed: int
    failed_s: float | None
    first_failure: str
    mended_s: float | None = None

    @property
    def users(self) -> str:
        """What users saw, in words."""
        if not self.num_failed:
            return f"nothing: {self.num_asked} requests answered"
        return (
            f"{self.num_failed} of {self.num_asked} requests failed, the first after "
            f"{self.failed_s or 0:.0f} s ({self.first_failure})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request: when it was answered or given up, and why it failed, if it did."""

    done_s: float
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A group at one moment. pods: by name who it is and how it is; events: what about and what."""

    pods: dict[str, str] = field(default_factory=dict)
    events: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class User:
    """Somebody who asks again as soon as there is an answer, on a thread of its own."""

    ask: Callable[[], object]
    clock: Clock
    began: float
    answers: list[Answer] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until told to stop."""
        while not self._stopped.is_set():
            failure = None
            try:
                self.ask()
            except (Unreachable, BadAnswer, ShardwrightError) as error:
                said = str(error).partition("{")[0].strip(" :")  # without the body of the answer
                failure = said[:80] or type(error).__name__
            self.answers.append(Answer(done_s=self.elapsed_s(), failure=failure))
            self._stopped.wait(LOOK_EVERY_S)

    def elapsed_s(self) -> float:
        """Seconds since the strike."""
        return self.clock.now() - self.began

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()


@dataclass(slots=True, kw_only=True)
class Drill:
    """One group under observation. labels: of its pods; limit_s: its start budget."""

    cluster: Cluster
    clock: Clock
    ask: Callable[[], object]
    namespace: str
    labels: dict[str, str]
    num_pods: int
    start_budget_s: float

    def suffer(self, incident: Incident) -> Iterator[Note | Aftermath]:
        """Strike, watch until the group is well again, mend; the Aftermath comes last."""
        user = User(ask=self.ask, clock=self.clock, began=self.clock.now())
        thread = threading.Thread(target=user.run, daemon=True)
        before = self._look() or Snapshot()
        thread.start()
        yield Note(text=incident.title)
        try:
            incident.strike()
            yield from self._watch(incident, user, before)
        finally:
            user.stop()

    def _watch(
        self, incident: Incident, user: User, before: Snapshot
    ) -> Iterator[Note | Aftermath]:
        limit_s = self.start_budget_s + MARGIN_S
        noticed: tuple[str, float] | None = None
        recovered: float | None = None
        mended: float | None = None
        last, changed = before, 0.0
        while (passed := user.elapsed_s()) < limit_s and recovered is None:
            now = self._look()
            sign = first_sign(before, now or before, incident.victims, user.answers)
            if noticed is None and sign:
                noticed = (sign, passed)
                yield Note(text=f"noticed after {passed:.0f} s: {sign}")
            if incident.mend and mended is None and passed >= incident.mend_after_s:
                incident.mend()
                mended = passed
                yield Note(text=f"mended by hand after {passed:.0f} s")
            if now is None or now.pods != last.pods:
                last, changed = now or Snapshot(), passed
            is_over = passed - changed >= (SETTLE_S if noticed else QUIET_S)
            if is_over and not (incident.mend and mended is None):
                well = now is not None and all_ready(now, self.num_pods)
                recovered = answers_again_at(user.answers) if well else None
            self.clock.sleep(LOOK_EVERY_S)
        if incident.mend and mended is None:
            incident.mend()
        if recovered is not None:
            yield Note(text=f"answers again after {recovered:.0f} s")
        failed = [each for each in user.answers if each.failure]
        yield Aftermath(
            incident=incident.name, title=incident.title,
            noticed_by=noticed[0] if noticed else None,
            noticed_s=noticed[1] if noticed else None,
            recovered_s=recovered, limit_s=limit_s,
            num_asked=len(user.answers), num_failed=len(failed),
            failed_s=failed[0].done_s if failed else None,
            first_failure=failed[0].failure or "" if failed else "",
            mended_s=mended,
        )  # fmt: skip

    def _look(self) -> Snapshot | None:
        """Look at pods and events; None while the API server does not answer, as in a drill."""
        try:
            pods = self.cluster.list("v1", "Pod", namespace=self.namespace, labels=self.labels)
            events = self.cluster.list("v1", "Event", namespace=self.namespace)
        except ShardwrightError:
            return None
        return snapshot(pods, events)


def snapshot(pods: tuple[Object, ...], events: tuple[Object, ...]) -> Snapshot:
    """Keep of pods and events what tells that something happened."""
    return Snapshot(
        pods={each["metadata"]["name"]: f"{_identity(each)} {_state(each)}" for each in pods},
        events={
            f"{each['metadata']['uid']}/{each.get('count', 1)}": _said(each)
            for each in events
            if each["involvedObject"]["kind"] != "Job"
        },
    )


def first_sign(
    before: Snapshot, now: Snapshot, victims: frozenset[str], answers: list[Answer]
) -> str | None:
    """Return who shows that something happened, other than the victims by their own end."""
    for uid, (about, said) in now.events.items():
        if uid not in before.events and about not in victims:
            return said
    for name, state in now.pods.items():
        if name not in victims and before.pods.get(name) != state:
            return f"Kubernetes ({name} {state.partition(' ')[2]})"
    return "users" if any(each.failure for each in answers) else None


def answers_again_at(answers: list[Answer]) -> float | None:
    """Return when the present row of good answers began; 0 if none ever failed, None if too few."""
    good = list(takewhile(lambda each: each.failure is None, reversed(answers)))
    if len(good) < GOOD_ANSWERS:
        return None
    return good[-1].done_s if len(good) < len(answers) else 0.0


def all_ready(now: Snapshot, num_pods: int) -> bool:
    """Tell whether exactly the pods of the group are there, and every one is ready."""
    return len(now.pods) == num_pods and all(
        state.endswith(" ready") for state in now.pods.values()
    )


def _identity(pod: Object) -> str:
    restarts = sum(c["restartCount"] for c in pod.get("status", {}).get("containerStatuses", []))
    return f"{pod['metadata']['uid']}/{restarts}"


def _state(pod: Object) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "leaving"
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return "ready" if ready else "not-ready"


def _said(event: Object) -> tuple[str, str]:
    who = event.get("reportingComponent") or event.get("source", {}).get("component") or "somebody"
    message = " ".join(event.get("message", "").split())[:60]
    return event["involvedObject"]["name"], f"{who} ({event.get('reason', '')}: {message})"
