"""The documentation of every rule, written from the table: docs/lint.md and `lint --explain`."""

from __future__ import annotations

from collections.abc import Iterable

from shardwright.lint.finding import Rule

_HEAD = """# Lint rules

Written from the table in `shardwright.lint.table` by `scripts/docs-lint`; do not edit.

A rule's severity is the gravest it gives. An **error** cannot start, cannot serve, or opens remote
execution; everything else is a **warning**. Where the text does not decide, a rule that is an error
elsewhere warns. `shardwright lint` exits 1 on errors (with `--strict` on warnings as well), 2 when
a file is not valid YAML (`yaml-invalid`).
"""


def all_pages(rules: Iterable[Rule]) -> str:
    """Write the list of codes and one section for each rule."""
    known = tuple(rules)
    rows = [
        f"| [{rule.code}](#{rule.code}) | {rule.severity.value} | {rule.title} |" for rule in known
    ]
    table = "\n".join(["| Code | Severity | Finds |", "|---|---|---|", *rows])
    return "\n".join([_HEAD, table, "", *(page(rule) for rule in known)])


def page(rule: Rule) -> str:
    """Write one rule's section."""
    references = "\n".join(f"- {reference}" for reference in rule.references)
    parts = [
        f"## {rule.code}",
        f"{rule.severity.value.capitalize()}: {rule.title}.",
        f"**Why.** {rule.why}",
        f"**Remedy.** {_sentence(rule.remedy)}",
    ]
    if references:
        parts.append(f"**References**\n\n{references}")
    return "\n\n".join(parts) + "\n"


def _sentence(text: str) -> str:
    sentence = text[0].upper() + text[1:] if text[:1].islower() else text
    return sentence if sentence.endswith((".", "!", "`")) else f"{sentence}."
