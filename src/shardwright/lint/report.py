"""Findings as text, JSON, SARIF or GitHub annotations. User text is never trusted to a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from shardwright import __version__
from shardwright.lint.finding import LintFinding, Rule
from shardwright.model.answers import versioned
from shardwright.model.finding import Severity

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Findings = tuple[LintFinding, ...]


def plain(text: str) -> str:
    """Neutralise escapes, control characters and direction marks from manifests.

    >>> plain("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def summary(findings: Findings) -> str:
    """Count findings in words."""
    errors = sum(f.severity is Severity.ERROR for f in findings)
    warnings = sum(f.severity is Severity.WARNING for f in findings)
    notes = len(findings) - errors - warnings
    tail = f", {_count(notes, 'note')}" if notes else ""
    return f"{_count(errors, 'error')}, {_count(warnings, 'warning')}{tail}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_text(findings: Findings) -> str:
    """Write findings for people: place, code, what, why, remedy."""
    blocks: list[str] = []
    for finding in findings:
        place = plain(finding.file or finding.object)
        place = f"{place}:{finding.line}" if finding.line is not None else place
        lines = [f"{place}: {finding.severity.value}: {finding.code}"]
        if finding.object:
            lines.append(f"  object: {_line(finding.object)}")
        lines.append(f"  what:   {_line(finding.what)}")
        lines.append(f"  why:    {_line(finding.why)}")
        lines.append(f"  remedy: {_line(finding.remedy)}")
        if finding.fix is not None:
            lines.append(f"  fix:    {_line(finding.fix.summary)} (--fix does it)")
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, summary(findings)]) + "\n"


def _line(text: str) -> str:
    return plain(" ".join(text.split()))


def as_json(findings: Findings) -> str:
    """Write the `findings`; fix is null or its summary and edits, places from 1."""
    rows = []
    for finding in findings:
        fix = finding.fix
        rows.append(
            {
                "code": finding.code,
                "severity": finding.severity.value,
                "file": finding.file,
                "line": finding.line,
                "object": finding.object,
                "what": finding.what,
                "why": finding.why,
                "remedy": finding.remedy,
                "fix": None
                if fix is None
                else {
                    "summary": fix.summary,
                    "edits": [
                        {
                            "line": edit.line + 1,
                            "column": edit.column + 1,
                            "endLine": edit.end_line + 1,
                            "endColumn": edit.end_column + 1,
                            "text": edit.text,
                        }
                        for edit in fix.edits
                    ],
                },
            }
        )
    return _dump(versioned("lint", {"findings": rows}))


_SARIF_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def as_sarif(findings: Findings, rules: Iterable[Rule]) -> str:
    """Write SARIF 2.1.0, as code scanning services read it."""
    used = {finding.code for finding in findings}
    described = [
        {
            "id": rule.code,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.remedy},
            "defaultConfiguration": {"level": _SARIF_LEVEL[rule.severity]},
        }
        for rule in rules
        if rule.code in used
    ]
    results = [
        {
            "ruleId": finding.code,
            "level": _SARIF_LEVEL[finding.severity],
            "message": {"text": plain(f"{finding.what}. {finding.remedy}")},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.file},
                        "region": {"startLine": finding.line or 1},
                    },
                    "logicalLocations": [{"fullyQualifiedName": plain(finding.object)}],
                }
            ],
        }
        for finding in findings
    ]
    driver = {"name": "shardwright", "version": __version__, "rules": described}
    return _dump(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "results": results}],
        }
    )


_GITHUB_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def as_github(findings: Findings) -> str:
    """Write workflow commands that annotate a pull request's lines."""
    rows: list[str] = []
    for finding in findings:
        place = [f"file={_property(finding.file)}"] if finding.file else []
        if finding.line is not None:
            place.append(f"line={finding.line}")
        place.append(f"title={_property(finding.code)}")
        message = _message(f"{finding.what}\n{finding.why}\nremedy: {finding.remedy}")
        rows.append(f"::{_GITHUB_LEVEL[finding.severity]} {','.join(place)}::{message}")
    return "".join(f"{row}\n" for row in rows)


def _message(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return plain(escaped)


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _dump(value: object) -> str:
    # json writes control characters as \u escapes; direction marks need ensure_ascii
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


WRITERS: dict[str, Callable[[Findings, Iterable[Rule]], str]] = {
    "text": lambda findings, _: as_text(findings),
    "json": lambda findings, _: as_json(findings),
    "sarif": as_sarif,
    "github": lambda findings, _: as_github(findings),
}
