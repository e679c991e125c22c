"""The causes as pages: for `shardwright explain` and for docs/causes.md, which is generated."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shardwright.diagnose.answer import paragraphs
from shardwright.diagnose.causes import Cause


def page(cause: Cause) -> str:
    """Write one cause as Markdown."""
    lines = [f"## {cause.code}", "", f"**{cause.title}** (family `{cause.family}`)", ""]
    lines += [_plain(cause.cause), "", "Remedy:", *paragraphs(_plain(cause.remedy)), ""]
    lines += ["It shows as:"]
    for example in cause.examples:
        lines += ["```", example.rstrip(), "```"]
    if cause.explains:
        lines += ["", "Explains findings of: " + ", ".join(sorted(cause.explains)) + "."]
    if cause.yields:
        lines += ["", "It follows from almost any other failure, so a surer cause comes first."]
    if cause.slows:
        lines += [
            "",
            "It makes serving slow and ends nothing, so what ended the service comes first.",
        ]
    if cause.collect:
        lines += ["", f"Collect: {cause.collect}"]
    lines += [f"See {reference}" for reference in cause.references]
    return "\n".join(lines)


def all_pages(causes: Sequence[Cause]) -> str:
    """Write every cause, by family, as one Markdown document."""
    ordered = sorted(causes, key=lambda c: (c.family, c.code))
    head = [
        "# Causes the doctor knows",
        "",
        "Generated from `src/shardwright/diagnose/knowledge/`; `make docs` rewrites it.",
        "",
        "| family | code | what |",
        "| --- | --- | --- |",
        *(f"| {c.family} | [{c.code}](#{c.code.lower()}) | {c.title} |" for c in ordered),
        "",
    ]
    return "\n".join(head) + "\n" + "\n\n".join(page(c) for c in ordered) + "\n"


def _plain(template: str) -> str:
    """Show a template with all its parts, and NAMES in place of what the evidence fills in."""
    return re.sub(
        r"\{[a-z]+\}",
        lambda m: m.group()[1:-1].upper(),
        template.replace("[[", "").replace("]]", ""),
    )
