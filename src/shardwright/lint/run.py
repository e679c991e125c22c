"""Run the rules over a bundle and give each finding its place in the text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shardwright.lint.documents import LINE_BREAK
from shardwright.lint.finding import Found, LintFinding, Rule
from shardwright.lint.objects import KubeObject, Loaded
from shardwright.lint.scene import Scene
from shardwright.lint.shell.values import shown
from shardwright.lint.table import RULES
from shardwright.model.finding import Severity

_SIBLINGS = {"args": "command", "command": "args"}
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def lint(
    loaded: Loaded, rules: Iterable[Rule] = RULES, *, beside: tuple[KubeObject, ...] = ()
) -> tuple[LintFinding, ...]:
    """Lint what was read, files that are broken included; findings come in order of the text.

    beside: objects that are there already. Rules see them, and nothing is said about them.
    """
    findings = [
        LintFinding(
            code="yaml-invalid",
            severity=Severity.ERROR,
            file=file,
            line=problem.line,
            object="",
            what=f"not valid YAML: {problem.problem}",
            why="No tool can apply this file; nothing after this line was read.",
            remedy="Correct the line, or render the template before linting it.",
        )
        for file, problem in loaded.broken
    ]
    findings += lint_objects(loaded.objects, rules, texts=loaded.texts, beside=beside)
    return tuple(sorted(findings, key=_order))


def lint_objects(
    objects: tuple[KubeObject, ...],
    rules: Iterable[Rule] = RULES,
    *,
    texts: Mapping[str, str] | None = None,
    beside: tuple[KubeObject, ...] = (),
) -> list[LintFinding]:
    """Lint objects. texts: the files they came from, to name lines within scripts."""
    scene = Scene((*objects, *beside))
    is_silent = {id(obj) for obj in beside}
    lines: dict[str, list[str]] = {}
    findings: dict[tuple[object, ...], LintFinding] = {}
    for rule in rules:
        for found in rule.check(scene):
            obj = found.object
            if id(obj) in is_silent:
                continue
            if obj.file not in lines and texts and obj.file in texts:
                lines[obj.file] = LINE_BREAK.split(texts[obj.file])
            finding = LintFinding(
                code=rule.code,
                severity=found.severity or rule.severity,
                file=obj.file,
                line=_line(found, lines.get(obj.file)),
                object=obj.label,
                what=shown(found.what),
                why=shown(found.why or rule.why),
                remedy=shown(found.remedy or rule.remedy),
                fix=found.fix,
            )
            findings.setdefault((id(obj), finding.code, finding.line, finding.what), finding)
    return list(findings.values())


def _line(found: Found, lines: list[str] | None) -> int | None:
    """Name the line of a field, or of the text to look for inside it."""
    obj, path = found.object, found.path
    if found.line is not None:
        return found.line
    line = obj.line_at(path)
    if line is None or not found.near or lines is None:
        return line
    places = [path]
    if path and path[-1] in _SIBLINGS:  # a command line continues in the other list
        places.append((*path[:-1], _SIBLINGS[str(path[-1])]))
    for place in places:
        spot = obj.spot_at(place)
        if spot is None:
            continue
        for at in range(spot.start.line, min(spot.end.line + 1, len(lines))):
            if found.near in lines[at]:
                return at + 1
    return line


def _order(finding: LintFinding) -> tuple[str, int, int, str, str]:
    return (
        finding.file,
        finding.line or 0,
        _RANK[finding.severity],
        finding.code,
        finding.what,
    )
