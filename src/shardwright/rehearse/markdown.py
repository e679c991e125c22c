"""A report as one Markdown file: verdict, timeline, topology, ranks, what was and was not proved.

Mermaid draws the timeline and the topology; GitHub, GitLab and most editors show both.
"""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.rehearse.report import Report
from shardwright.rehearse.text import report_text


def report_markdown(report: Report, topology: str) -> str:
    """Write the file; topology: the Mermaid drawing of the deployment."""
    return "\n".join(_lines(report, topology)) + "\n"


def _lines(report: Report, topology: str) -> Iterator[str]:
    verdict = "passed" if report.passed else "failed"
    yield f"# Rehearsal of {report.name}: {verdict}"
    yield ""
    yield (
        f"{report.model}, to be deployed as {report.deployed} with {report.engine} "
        f"{report.engine_version} ({report.mechanism}); rehearsed as {report.rehearsed} with "
        f"{report.engine} {report.rehearsed_version} on CPUs, {report.nodes}."
    )
    yield ""
    yield "## What was found"
    yield ""
    yield "```text"
    yield report_text(report).rstrip()
    yield "```"
    yield ""
    yield "## Timeline"
    yield ""
    yield from _timeline(report)
    yield ""
    yield "| member | process | phase | took | allowed when deployed |"
    yield "|---|---|---|---|---|"
    for phase in report.phases:
        yield (
            f"| {phase.member} | {phase.process} | {phase.phase} | {phase.took_s:.1f} s "
            f"| {phase.budget_s:.0f} s |"
        )
    yield ""
    yield "## Topology to be deployed"
    yield ""
    yield "```mermaid"
    yield topology.rstrip()
    yield "```"
    yield ""
    yield "## What differs from the deployment"
    yield ""
    yield "| where | deployed | rehearsed | why | therefore not proved |"
    yield "|---|---|---|---|---|"
    for change in report.changes:
        cells = (change.path, change.old, change.new, change.why, change.not_proved)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _timeline(report: Report) -> Iterator[str]:
    yield "```mermaid"
    yield "gantt"
    yield "  dateFormat x"
    yield "  axisFormat %M:%S"
    members: dict[tuple[int, str], list[str]] = {}
    for phase in report.phases:
        begin, end = (round(1000 * t) for t in (phase.at_s - phase.took_s, phase.at_s))
        row = f"  {phase.phase} :{begin}, {max(end, begin + 1)}"
        members.setdefault((phase.member, phase.process), []).append(row)
    for (member, process), rows in members.items():
        yield f"  section member {member} {process}"
        yield from rows
    yield "```"
