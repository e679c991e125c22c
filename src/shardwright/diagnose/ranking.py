"""From signals to ranked findings: how likely each cause is, and which explains which.

A cause's confidence is the noisy-or of its signals' weights. A finding that another confident
finding explains (a watchdog timeout after an OOM on another rank) is demoted below it. Among
findings about equally sure, the one seen first comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Final

import re2

from shardwright.diagnose.causes import Cause, Signal
from shardwright.diagnose.evidence import Evidence, Hit
from shardwright.diagnose.planned import CONDITIONS
from shardwright.diagnose.predicates import PREDICATES

CONFIDENT: Final = 0.7
KNOWN: Final = 0.3
"""Below this a finding is not shown as one."""
_CEILING: Final = 0.97
_EXPLAINS_FROM: Final = 0.5

_DEMOTED: Final = 0.4
_MAX_EVIDENCE: Final = 6
# an engine that prints all its settings names everything and says nothing
_DUMP: Final = re2.compile(
    r"Namespace\(\w+=|ServerArgs\(\w+=|Initializing an? (?:V\d )?LLM engine|non-default args: |"
    r"[Ee]ngine ?[Cc]onfig\(\w+=|LlmArgs\(\w+="
)
# what a program mentions in passing, or got round by itself, is no failure
_IN_PASSING: Final = re.compile(
    r"(?:^|[)\]] ?)(?:INFO|DEBUG) \d\d-\d\d |\t(?:INFO|DEBUG) \w+\.py:\d+ -- |"
    r"\"level\" ?: ?\"(?:INFO|DEBUG)\"|(?i:\bfall(?:ing|s)? back\b|\bdefaulting to\b|"
    r"\bwill default to\b|\btrying port\b|with a new port|\bCapping \w|\bClamping\b)"
)
_TELLING: Final = 0.6
"""From this weight a signal is a failure by itself, so a line said in passing cannot carry it."""
_FIGURES: Final = re.compile(r"\d+")
_PLACE: Final = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledOut:
    """A cause that was considered and put aside, with the reason."""

    code: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One ranked finding of the doctor. confidence: 0..1."""

    cause_page: Cause
    confidence: float
    cause: str
    remedy: str
    evidence: tuple[Hit, ...]
    consequence_of: str | None = None
    ruled_out: tuple[RuledOut, ...] = ()

    @property
    def code(self) -> str:
        """The cause's stable code."""
        return self.cause_page.code

    @property
    def family(self) -> str:
        """The family of the cause."""
        return self.cause_page.family


def diagnose(evidence: Evidence, causes: Sequence[Cause]) -> tuple[Diagnosis, ...]:
    """Rank every cause that the evidence speaks for, most likely first cause first."""
    found: list[Diagnosis] = []
    put_aside: list[RuledOut] = []
    for cause in causes:
        result = _consider(cause, evidence)
        if isinstance(result, RuledOut):
            put_aside.append(result)
        elif result is not None and result.confidence >= KNOWN:
            found.append(result)
    demoted = [_demote(each, found) for each in found]
    ranked = _without_echoes(sorted(demoted, key=_rank_key(demoted)))
    return tuple(replace(each, ruled_out=_ruled_out(each, ranked, put_aside)) for each in ranked)


def _consider(cause: Cause, evidence: Evidence) -> Diagnosis | RuledOut | None:
    present = _present(cause.signals, evidence)
    short = {name.rsplit(".", 1)[1]: hits for name, hits in present.items()}
    counting = [s for s in cause.signals if s.name in present and s.weight > 0]
    if not counting:
        return _overtaken(cause, evidence)
    for name, why in cause.unless.items():
        if name in short:
            return RuledOut(code=cause.code, why=why)
    if any(not any(name in short for name in group) for group in cause.requires):
        return None
    confidence = min(_CEILING, 1 - prod(1 - s.weight for s in counting))
    counting.sort(key=lambda s: -s.weight)
    lines = _lines(present[s.name] for s in counting)
    values = _values(present[s.name] for s in counting)
    return Diagnosis(
        cause_page=cause, confidence=round(confidence, 2), cause=_fill(cause.cause, values),
        remedy=_fill(cause.remedy, values), evidence=lines,
    )  # fmt: skip


def _overtaken(cause: Cause, evidence: Evidence) -> RuledOut | None:
    """Say so where an event would have spoken for the cause, had not a later word overtaken it."""
    for signal in cause.signals:
        for hit in evidence.hits.get(signal.name, ()) if signal.weight >= _TELLING else ():
            why = evidence.stale.get((hit.document, hit.line))
            if why:
                return RuledOut(code=cause.code, why=why)
    return None


def _present(signals: Iterable[Signal], evidence: Evidence) -> dict[str, tuple[Hit, ...]]:
    found: dict[str, tuple[Hit, ...]] = {}
    signals = tuple(signals)
    for signal in signals:
        if signal.predicate is not None:
            hits = tuple(PREDICATES[signal.predicate](evidence))
        else:
            hits = tuple(
                h
                for h in evidence.hits.get(signal.name, ())
                if h.source in signal.sources
                and (h.document, h.line) not in evidence.stale
                and not _DUMP.search(h.text)
                and (signal.weight < _TELLING or signal.light or not _IN_PASSING.search(h.text))
                and not (signal.exception and re2.search(signal.exception, h.text))
                and (signal.when is None or CONDITIONS[signal.when](h, evidence.planned))
            )
        if hits:
            found[signal.name] = hits
    short = {name.rsplit(".", 1)[1] for name in found}
    return {
        s.name: found[s.name]
        for s in signals
        if s.name in found and short >= set(s.needs) and short.isdisjoint(s.without)
    }


def _lines(groups: Iterable[tuple[Hit, ...]]) -> tuple[Hit, ...]:
    """Return the first line of each signal, then more of the strongest, none twice, nor one that a
    process says again with other figures.
    """
    groups = list(groups)
    chosen: dict[tuple[str, str | None, str], Hit] = {}
    for hit in [g[0] for g in groups] + [h for g in groups for h in g[1:3]]:
        chosen.setdefault((hit.document, hit.worker, _FIGURES.sub("0", hit.text)), hit)
    return tuple(list(chosen.values())[:_MAX_EVIDENCE])


def _values(groups: Iterable[tuple[Hit, ...]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for group in groups:
        for hit in group:
            for key, value in hit.values.items():
                values.setdefault(key, value)
    return values


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Fill `{name}`; text in `[[..]]` goes when one of its values was not caught.

    >>> _fill("Too small[[: {size}]].", {}), _fill("Too small[[: {size}]].", {"size": "64M"})
    ('Too small.', 'Too small: 64M.')
    """
    parts = []
    for index, piece in enumerate(template.replace("]]", "[[").split("[[")):
        names = set(_PLACE.findall(piece))
        if index % 2 == 0 or names <= set(values):
            parts.append(_PLACE.sub(lambda m: values.get(m.group(1), "?"), piece))
    return "".join(parts)


def _demote(finding: Diagnosis, others: Sequence[Diagnosis]) -> Diagnosis:
    for other in sorted(others, key=lambda o: -o.confidence):
        names = other.cause_page.explains
        explained = (
            finding.code in names
            or finding.family in names
            or (
                finding.cause_page.yields
                and not other.cause_page.yields
                and not other.cause_page.slows
            )
        )
        if (
            explained
            and other.code != finding.code
            and other.confidence >= _EXPLAINS_FROM
            and other.code not in finding.cause_page.explains
        ):
            weaker = round(finding.confidence * _DEMOTED, 2)
            return replace(finding, confidence=weaker, consequence_of=other.code)
    return finding


def _rank_key(findings: Sequence[Diagnosis]) -> Callable[[Diagnosis], tuple[object, ...]]:
    """Sort by confidence in steps of a tenth, then by who was seen first.

    What only slows comes after what ended the service: it may be surer, and is not what she asks.
    """
    ended = any(not f.cause_page.slows and f.confidence >= _EXPLAINS_FROM for f in findings)
    stamped = all(h.time_s is not None for f in findings for h in f.evidence[:1])

    def key(finding: Diagnosis) -> tuple[object, ...]:
        times = [h.time_s for h in finding.evidence if h.time_s is not None]
        first = min(times) if stamped and times else 0.0
        position = min(h.order for h in finding.evidence)
        step = -round(finding.confidence, 1)
        return (
            ended and finding.cause_page.slows,
            step,
            first,
            position,
            -finding.confidence,
            finding.code,
        )

    return key


def _without_echoes(ranked: Sequence[Diagnosis]) -> list[Diagnosis]:
    """Drop a finding that only repeats the lines of a better one of the same family."""
    kept: list[Diagnosis] = []
    for finding in ranked:
        lines = {(h.document, h.line) for h in finding.evidence}
        if not any(
            k.family == finding.family and lines <= {(h.document, h.line) for h in k.evidence}
            for k in kept
        ):
            kept.append(finding)
    return kept


def _ruled_out(
    finding: Diagnosis, ranked: Sequence[Diagnosis], put_aside: Sequence[RuledOut]
) -> tuple[RuledOut, ...]:
    consequences = tuple(
        RuledOut(code=other.code, why=f"a consequence of {finding.code}")
        for other in ranked
        if other.consequence_of == finding.code
    )
    return consequences + tuple(put_aside)
