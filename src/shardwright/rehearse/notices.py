"""The engine's own remarks that matter to the deployment, as findings. Called by the session."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.finding import Finding, Severity
from shardwright.model.running import Line


def noticed(lines: Iterable[Line], rules: Rehearsal) -> tuple[Finding, ...]:
    """Return a finding for each remark that was made, however often."""
    texts = [line.text for line in lines]
    return tuple(
        Finding(
            code=notice.code,
            severity=Severity.NOTE,
            what=notice.what,
            why=notice.why,
            remedy=notice.remedy,
        )
        for notice in rules.notices
        if any(re.search(notice.pattern, text) for text in texts)
    )
