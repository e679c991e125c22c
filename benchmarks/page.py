"""The page of measured speeds, docs/benchmarks.md: each benchmark writes its own section.

A section begins with `## title` and ends where the next one begins, so that one benchmark run alone
leaves the figures of the others as they were.
"""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
INTRODUCTION = (
    "# Benchmarks\n\n"
    "Written by `make bench`, which fails in the end if a figure misses what is asked of it.\n"
    "`make bench-doctor` writes docs/doctor.md.\n"
)


def machine(load: float) -> str:
    """Say when and where a section was measured; load: the load average at the start."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, load average {load:.1f} at the start."
    )


def write(title: str, body: str) -> None:
    """Put a section into the page, in place of the one of that title."""
    PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8"), title, body), encoding="utf-8")
    print(f"written to {PAGE.relative_to(ROOT)}: {title}")


def with_section(page: str, title: str, body: str) -> str:
    """Return the page with a section replaced, or added at its place by the alphabet."""
    parts = re.split(r"(?m)^## (.*)\n", page)
    sections = {name: text.strip("\n") for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    sections[title] = body.strip("\n")
    written = (f"## {name}\n\n{text}\n" for name, text in sorted(sections.items()))
    return "\n".join((INTRODUCTION, *written))
