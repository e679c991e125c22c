"""The doctor's answer as text for a person: the first cause in full, what follows from it in short.

Called by the commands that print a report; `doctor -o json` has all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from shardwright.diagnose.doctor import COLLECT_NEXT, Report
from shardwright.diagnose.evidence import Hit
from shardwright.diagnose.lines import printable
from shardwright.diagnose.ranking import CONFIDENT, Diagnosis
from shardwright.model.folding import fold

_MOST_CAUSES: Final = 5
_MOST_LINES: Final = 4
_MOST_RULED_OUT: Final = 4
_LINE_CHARS: Final = 300
_BEGIN_CHARS: Final = 60
_BEFORE_CHARS: Final = 60
"""Of a line longer than that: so much of its start, and of what is before what was found."""
_LABELS: Final = ("cause: ", "line: ", "remedy: ", "then: ", "ruled out: ")
_HANGING: Final = (
    *((label, 8) for label in _LABELS),
    *((f"{position}. ", 3) for position in range(1, 10)),
    ("- ", 2),
)
"""What a line begins with -> columns by which its folded part stands further in."""


def as_text(report: Report, width: int | None = None) -> str:
    """Write a report. width: columns at which lines are folded, None for not at all."""
    lines = list(_unknown(report) if report.unknown else _known(report.findings))
    if report.unread:
        lines.append("Not read, so what it would have shown is missing above:")
        lines += [f"  - {printable(each)}" for each in report.unread]
    return "\n".join(folded for line in lines for folded in fold(line, width, _hang(line)))


def _unknown(report: Report) -> Iterator[str]:
    yield "No known cause found. The most unusual lines:"
    yield from (f"  {_shown(hit)}" for hit in report.unusual)
    if not report.unusual:
        yield "  (none)"
    yield "Collect next:"
    yield from (f"  - {item}" for item in COLLECT_NEXT)


def _known(findings: Sequence[Diagnosis]) -> Iterator[str]:
    roots = [each for each in findings if each.consequence_of is None] or list(findings[:1])
    if all(each.confidence < CONFIDENT for each in roots):
        yield "Nothing certain; what the evidence hints at:"
    elif roots[0].confidence < CONFIDENT:
        yield "What ended it is not certain; the first is a hint, what follows is shown:"
    for position, each in enumerate(roots[:_MOST_CAUSES], 1):
        yield from _cause(each, position, roots[0].confidence >= CONFIDENT)
        for other in findings:
            if other is not each and _root_of(other, findings) == each.code:
                where = f"{printable(other.evidence[0].document)}:{other.evidence[0].line}"
                yield f"   then:   {other.cause_page.title} [{other.code}], {where}"
        # consequences are told already
        aside = [r for r in each.ruled_out if not r.why.startswith("a consequence of ")]
        for ruled in aside[:_MOST_RULED_OUT] if position == 1 else ():
            yield f"   ruled out: {ruled.code}: {ruled.why}"
    if len(roots) > _MOST_CAUSES:
        yield f"{len(roots) - _MOST_CAUSES} more: -o json shows them."


def _cause(finding: Diagnosis, position: int, something_is_sure: bool) -> Iterator[str]:
    is_hint = something_is_sure and finding.confidence < CONFIDENT
    yield (
        f"{position}. {finding.cause_page.title} [{finding.code}] ({finding.family}, "
        f"confidence {finding.confidence:.2f}{', only a hint' if is_hint else ''})"
    )
    if is_hint:
        yield f"   line:   {_shown(finding.evidence[0])}"
        return
    yield f"   cause:  {finding.cause}"
    for hit in finding.evidence[: _MOST_LINES if position == 1 else 1]:
        yield f"   line:   {_shown(hit)}"
    for number, paragraph in enumerate(paragraphs(finding.remedy)):
        yield f"   {'        ' if number else 'remedy: '}{paragraph}"


def _root_of(finding: Diagnosis, findings: Sequence[Diagnosis]) -> str | None:
    """Follow what explains a finding to its first cause."""
    by_code = {each.code: each for each in findings}
    code, seen = finding.consequence_of, {finding.code}
    while code in by_code and code not in seen and by_code[code].consequence_of is not None:
        seen.add(code)
        code = by_code[code].consequence_of
    return code


def _shown(hit: Hit) -> str:
    """Show a line where it stands, its columns drawn together, a long one around what was found."""
    text, before = _drawn_together(hit.text), _drawn_together(hit.text[: hit.at])
    if len(text) > _LINE_CHARS:
        start = len(before) - _BEFORE_CHARS
        skips = start > _BEGIN_CHARS + len(" ... ")
        head = f"{text[:_BEGIN_CHARS]} ... " if skips else ""
        rest = text[start:] if skips else text
        room = _LINE_CHARS - len(head)
        text = f"{head}{rest[:room]}{' ...' * (len(rest) > room)}"
    return f"{printable(hit.document)}:{hit.line}: {text}"


def _drawn_together(text: str) -> str:
    plain = text.replace("\\n", " ") if text.startswith("{") else text  # JSON, ends of lines within
    return " ".join(plain.split())


def paragraphs(text: str) -> list[str]:
    r"""Join lines that were broken within a sentence.

    >>> paragraphs("Read the log\nand the events.\nThen ask.")
    ['Read the log and the events.', 'Then ask.']
    """
    found: list[str] = []
    for line in text.splitlines():
        if found and not found[-1].endswith((".", ":")):
            found[-1] += f" {line.strip()}"
        else:
            found.append(line.strip())
    return found


def _hang(line: str) -> int:
    """Count the columns by which the folded part of a line stands further in than its begin."""
    start = line.lstrip(" ")
    return next((n for label, n in _HANGING if start.startswith(label)), 0)
