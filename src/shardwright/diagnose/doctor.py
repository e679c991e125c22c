"""Evidence in, findings out: the one function the CLI, deploy and rehearse call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from shardwright.diagnose.causes import load_benign, load_causes
from shardwright.diagnose.evidence import Document, Evidence, Hit, Source
from shardwright.diagnose.planned import Planned
from shardwright.diagnose.predicates import WATCHED
from shardwright.diagnose.ranking import Diagnosis, diagnose
from shardwright.diagnose.scanning import Patterns, scan
from shardwright.diagnose.staleness import stale_lines

_TROUBLE: Final = "unexplained.trouble"
_TROUBLE_PATTERN: Final = (
    r"(?i)\b(?:\w*error|\w*exception|fatal|critical|panic|fail(?:ed|ure|s)?|refused|denied|"
    r"timed out|"
    r"timeout|unable to|cannot|can't|could not|killed|abort(?:ed|ing)?|warn|unhealthy|backoff)\b"
)
_BENIGN: Final = "benign."
_MAX_UNUSUAL: Final = 8

COLLECT_NEXT: Final = (
    "the previous containers' logs of every pod of the group (kubectl logs --previous)",
    "kubectl describe pod and kubectl get events --sort-by=.lastTimestamp of the namespace",
    "nvidia-smi, nvidia-smi topo -m and dmesg | tail of every node",
    "the engine's log with VLLM_LOGGING_LEVEL=DEBUG and NCCL_DEBUG=INFO",
)
"""What to look at when nothing known was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The doctor's answer. unknown: no known cause was found; unusual lines then help a person.

    unread: evidence that could not be had, and why, such as objects a role may not read.
    """

    findings: tuple[Diagnosis, ...]
    unusual: tuple[Hit, ...]
    unread: tuple[str, ...] = ()

    @property
    def unknown(self) -> bool:
        """True when nothing known was found."""
        return not self.findings


@cache
def _patterns() -> Patterns:
    patterns = {
        signal.name: f"(?m){signal.pattern}"
        for cause in load_causes()
        for signal in cause.signals
        if signal.pattern is not None
    }
    benign = {f"{_BENIGN}{pattern}": f"(?m){pattern}" for pattern in load_benign()}
    watched = {name: f"(?m){pattern}" for name, pattern in WATCHED.items()}
    return Patterns({**patterns, **watched, **benign, _TROUBLE: _TROUBLE_PATTERN})


def examine(
    documents: Iterable[Document], *, planned: Planned | None = None,
    unread: tuple[str, ...] = (), num_workers: int = 2,
) -> Report:  # fmt: skip
    """Read the evidence once and say what happened, first cause first.

    planned: what was expected, where it is known; then what differs from it is a cause as well.
    """
    scanned = scan(documents, _patterns(), num_workers=num_workers)
    evidence = replace(scanned, planned=planned, stale=stale_lines(scanned))
    findings = diagnose(evidence, load_causes())
    return Report(
        findings=findings, unusual=() if findings else _unusual(evidence),
        unread=unread,
    )  # fmt: skip


def _unusual(evidence: Evidence) -> tuple[Hit, ...]:
    """Return the first troubled lines that are not known to be harmless, nor only asked for."""
    harmless = {
        (hit.document, hit.line)
        for name, hits in evidence.hits.items()
        if name.startswith(_BENIGN)
        for hit in hits
    }
    trouble = evidence.hits.get(_TROUBLE, ())
    told = (hit for hit in trouble if hit.source is not Source.MANIFEST)
    return tuple(h for h in told if (h.document, h.line) not in harmless)[:_MAX_UNUSUAL]


def as_json(report: Report) -> dict[str, Any]:
    """Shape the report for `-o json`."""
    return {
        "findings": [
            {
                "rank": position,
                "code": each.code,
                "family": each.family,
                "confidence": each.confidence,
                "cause": each.cause,
                "evidence": [_line_json(hit) for hit in each.evidence],
                "remedy": each.remedy,
                "consequence_of": each.consequence_of,
                "ruled_out": [{"code": r.code, "why": r.why} for r in each.ruled_out],
            }
            for position, each in enumerate(report.findings, 1)
        ],
        "unknown": report.unknown,
        "unusual": [_line_json(hit) for hit in report.unusual],
        "collect_next": list(COLLECT_NEXT) if report.unknown else [],
        "unread": list(report.unread),
    }


def _line_json(hit: Hit) -> dict[str, Any]:
    return {
        "file": hit.document,
        "line": hit.line,
        "text": hit.text,
        "source": hit.source.value,
        "process": hit.worker,
        "time_s": hit.time_s,
    }
