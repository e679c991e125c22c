"""Events that a later word about the same object has overtaken.

Kubernetes keeps events for an hour, so a volume that took two tries to mount still says so beside a
pod that serves. An event counts only until a later one of the same object, or its state, shows that
what failed has succeeded. Called by the doctor before causes are weighed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import re2

from shardwright.diagnose.event_objects import event_objects
from shardwright.diagnose.evidence import Block, Evidence, Source

Line = tuple[str, int]
"""Document and line number."""

_RUNS: Final = ("Pulled", "Created", "Started")
_OVERTAKEN_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "FailedScheduling": ("Scheduled", "Pulling", *_RUNS),
    "FailedMount": _RUNS,
    "FailedAttachVolume": ("SuccessfulAttachVolume", *_RUNS),
    "FailedMapVolume": _RUNS,
    "FailedCreatePodSandBox": ("Pulling", *_RUNS),
    "NetworkNotReady": ("Pulling", *_RUNS),
    "FailedToPull": _RUNS,
    "ErrImagePull": _RUNS,
    "ImagePullBackOff": _RUNS,
    "ProvisioningFailed": ("ProvisioningSucceeded",),
    "FailedBinding": ("ProvisioningSucceeded",),
    "FailedCreate": ("SuccessfulCreate",),
    "NodeNotReady": ("NodeReady",),
    "NodeHasDiskPressure": ("NodeHasNoDiskPressure",),
    "NodeHasInsufficientMemory": ("NodeHasSufficientMemory",),
}
"""Reason of an event -> reasons of later ones that show it has passed; each also overtakes itself,
since the last of them is how things stand. A crash (BackOff) is not overtaken by a start."""
_PULL: Final = r"(?i)image|pull"
_PULL_WHY: Final = r"(?i)Failed to pull image"
_UNBOUND: Final = (
    r"(?i)unbound immediate PersistentVolumeClaims?|PersistentVolumeClaim is not bound"
)
_OWN: Final = re2.compile(r"^(\d{4}-\d\d-\d\dT[0-9:.]+)Z? (?:\w+ )?(\w+) \w+/(\S+) (.*)$")
_LISTED: Final = re2.compile(
    r"^(?:\S+ +)?((?:\d+[smhdy])+) +(?:Normal|Warning) +(\w+) +[\w.]+/(\S+) +(.*)$"
)
_DESCRIBED: Final = re2.compile(
    r"^ +(?:Normal|Warning) +(\w+) +((?:\d+[smhdy])+)(?: \(x\d+ over \S+\))? +\S+ +(.*)$"
)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 31536000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event. when: sorts within its document, later is larger. lines: those that tell it."""

    about: str
    reason: str
    message: str
    when: tuple[str, float, int]
    lines: tuple[Line, ...]


def stale_lines(evidence: Evidence) -> Mapping[Line, str]:
    """Find the lines of events that no longer hold -> what shows it."""
    blocks = evidence.texts(Source.CLUSTER)
    by_object: dict[tuple[str, str], list[Told]] = {}
    for block in blocks:
        for event in _events(block):
            by_object.setdefault((block.document, event.about), []).append(event)
    if not by_object:
        return {}
    ready, bound = _settled(blocks)
    stale: dict[Line, str] = {}
    for events in by_object.values():
        for event in events:
            why = _overtaken(event, events, ready, bound)
            if why:
                stale |= dict.fromkeys(event.lines, why)
    return stale


def _overtaken(
    event: Told, others: Iterable[Told], ready: frozenset[str], bound: bool | None
) -> str | None:
    reason = event.reason
    if reason in ("Failed", "BackOff") and re2.search(_PULL, event.message):
        # the kubelet follows the event that says why by ones that only say it waits
        reason = "FailedToPull" if re2.search(_PULL_WHY, event.message) else "ErrImagePull"
    passing = _OVERTAKEN_BY.get(reason)
    if passing is None:
        return None
    for other in others:
        again = other.reason == event.reason and (
            reason != "FailedToPull" or re2.search(_PULL_WHY, other.message)
        )
        if other.when > event.when and (again or other.reason in passing):
            return f"a later event of {event.about} says {other.reason}"
    if event.about in ready:
        return f"{event.about} runs and is ready"
    if bound and re2.search(_UNBOUND, event.message):
        return "every claim is bound"
    return None


def _events(block: Block) -> Iterator[Told]:
    """Read events as `kubectl describe`, `kubectl get events` (as a table, YAML or JSON) and our
    own collection write them.
    """
    for each in event_objects(block.text, block.first_line):
        told = tuple((block.document, number) for number in each.lines)
        yield Told(about=each.about, reason=each.reason, message=each.message,
                   when=(each.when, 0.0, each.lines.start), lines=told)  # fmt: skip
    described = ""
    for number, text in enumerate(block.text.splitlines(), block.first_line):
        if text.startswith("Name:"):
            described = text.removeprefix("Name:").strip()
        line = (block.document, number)
        if found := _OWN.match(text):
            stamp, reason, about, message = found.groups()
            yield Told(about=about, reason=reason, message=message,
                       when=(stamp, 0.0, number), lines=(line,))  # fmt: skip
        elif found := _LISTED.match(text):
            age, reason, about, message = found.groups()
            yield Told(about=about, reason=reason, message=message,
                       when=("", -_age_s(age), number), lines=(line,))  # fmt: skip
        elif described and (found := _DESCRIBED.match(text)):
            reason, age, message = found.groups()
            yield Told(about=described, reason=reason, message=message,
                       when=("", -_age_s(age), number), lines=(line,))  # fmt: skip


def _age_s(text: str) -> float:
    """Read an age as kubectl writes it.

    >>> _age_s("3m5s")
    185.0
    """
    return float(sum(int(n) * _SECONDS[u] for n, u in re2.findall(r"(\d+)([smhdy])", text)))


def _settled(blocks: Iterable[Block]) -> tuple[frozenset[str], bool | None]:
    """Return the pods that are ready, and whether every claim shown is bound (None: none shown)."""
    ready: set[str] = set()
    claims: list[bool] = []
    for block in blocks:
        counted = re2.findall(r"(?m)^(\S+) +(\d+)/(\d+) +Running\b", block.text)
        ready.update(name for name, have, want in counted if have == want)
        listed = re2.findall(
            r"(?m)^\S+ +(Bound|Pending|Lost) +(?:pvc-|\S+ +\d+[KMGT]i)", block.text
        )
        claims += [phase == "Bound" for phase in listed]
        ready.update(_described_ready(block))
        for obj in _objects(block):
            status = obj.get("status") or {}
            if obj.get("kind") == "PersistentVolumeClaim":
                claims.append(status.get("phase") == "Bound")
            elif any(
                c.get("type") == "Ready" and c.get("status") == "True"
                for c in status.get("conditions") or ()
            ):
                ready.add((obj.get("metadata") or {}).get("name", ""))
    return frozenset(ready), all(claims) if claims else None


def _described_ready(block: Block) -> Iterator[str]:
    """Name the pods that `kubectl describe pod` shows running and ready."""
    for text in block.text.split("\nName:"):
        name = text.removeprefix("Name:").split(maxsplit=1)[:1]
        is_running = re2.search(r"(?m)^Status: +Running *$", text)
        if name and is_running and re2.search(r"(?m)^  Ready +True *$", text):
            yield name[0]


def _objects(block: Block) -> Iterator[dict[str, Any]]:
    """Read JSON as `kubectl get -o json` writes it: one object, a List, or a bare list."""
    text = block.text.lstrip()
    if not text.startswith(("{", "[")):
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # cut, or not JSON after all
        return
    items = found.get("items", [found]) if isinstance(found, dict) else found
    yield from (each for each in items if isinstance(each, dict))
