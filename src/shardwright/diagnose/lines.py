"""Who spoke a line, and when: prefixes and time stamps of the programs we read.

Formats: vLLM `(Worker_TP0 pid=7) INFO 01-25 11:45:19`, Ray `(RayWorkerWrapper pid=9, ip=10.1.1.7)`,
torch `[rank8]:`, SGLang `[2025-12-18 10:59:08 DP0 TP0]`, NCCL `host:pid:tid [3]`, mpirun
`[1,3]<stderr>:`, torchrun `[default3]:`, glog `E0704 15:13:45.001`, stern `[pod/name/container]`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import re2

MAX_TEXT: Final = 1000
"""Characters of a line shown; the rest of a longer one is cut."""

_KEPT: Final = 200
"""Characters kept at the start of a longer line, where its stamp and level are, and before what was
found in it."""

# the standard library's: coloured logs have an escape in every line, and RE2's binding substitutes
# one by one in Python; each alternative consumes what it reads and none can backtrack far
_ESCAPES: Final = re.compile(
    rb"\x1b(?:\[[0-9;:?<>=!]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_a-z])"
)
_CONTROLS: Final = {c: None for c in (*range(32), *range(127, 160)) if c != 9}
_BIDI: Final = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))

_WORKERS: Final = tuple(
    (re2.compile(pattern), form)
    for pattern, form in (
        (r"\[rank ?(\d+)\]", "rank {}"),
        (r"\[1,(\d+)\]<std(?:err|out)>", "rank {}"),
        (r"\[default(\d+)\]:", "rank {}"),
        (r"\[[Rr]ank (\d+)\]", "rank {}"),
        (r"\((?:Ray\w*|\w*Worker\w*) pid=\d+, ip=([0-9a-fA-F.:]+)\)", "{}"),
        (r"\((\w*(?:Worker|EngineCore|APIServer)\w*) pid=\d+\)", "{}"),
        (r"^\[[0-9: .-]{19,}((?: (?:DP|PP|TP|EP)\d+)+)\]", "{}"),
        (r"^([\w.-]+:\d+:\d+ \[\d+\]) NCCL", "{}"),
        (r"^\[?pod/([\w.-]+)", "{}"),
    )
)
_STAMPS: Final = tuple(
    re2.compile(pattern)
    for pattern in (
        r"\d{4}-(?P<M>\d\d)-(?P<D>\d\d)[T ](?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d(?:[.,]\d+)?)",
        (
            r"\b(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) (?P<M>\d\d)-(?P<D>\d\d) "
            r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
        ),
        r"\b[IWEF](?P<M>\d\d)(?P<D>\d\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d\.\d+)",
        r"\[(?P<M>\d\d)/(?P<D>\d\d)/\d{4}-(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)\]",
    )
)


def strip_escapes(raw: bytes) -> bytes:
    r"""Remove terminal escape sequences, so that colours do not cut words apart.

    >>> strip_escapes(b"\x1b[31mCUDA\x1b[0m out")
    b'CUDA out'
    """
    # split and join is a quarter quicker than exchanging each by nothing, and half again quicker
    # than looking at each escape in Python
    return b"".join(_ESCAPES.split(raw)) if b"\x1b" in raw else raw


def printable(text: str) -> str:
    r"""Drop what a terminal would act on, and cut an overlong line.

    >>> printable("a\x07\x9bb\u202ec")
    'abc'
    """
    shown = text.translate(_CONTROLS).translate(_BIDI)
    return shown if len(shown) <= MAX_TEXT else shown[:MAX_TEXT] + " ..."


def excerpt(text: str, at: int) -> tuple[str, int]:
    """Make a line printable; cut a long one around a place in it, and say where that is then.

    >>> text, at = excerpt("ERROR " + 5000 * "x" + " CUDA out of memory", 5007)
    >>> text[:8], text[at:]
    ('ERROR xx', 'CUDA out of memory')
    """
    shown = text.translate(_CONTROLS).translate(_BIDI)
    at = len(text[:at].translate(_CONTROLS).translate(_BIDI))
    if len(shown) <= MAX_TEXT or at < MAX_TEXT - 2 * _KEPT:
        return printable(text), at
    head = f"{shown[:_KEPT]} ... {shown[at - _KEPT : at]}"
    rest = shown[at : at + MAX_TEXT - len(head)]
    return f"{head}{rest}{' ...' * (at + len(rest) < len(shown))}", len(head)


def worker_of(text: str) -> str | None:
    """Name the process a line comes from.

    >>> worker_of("(RayWorkerWrapper pid=911, ip=10.1.44.7) [rank8]: RuntimeError")
    'rank 8'
    """
    for pattern, form in _WORKERS:
        found = pattern.search(text[:200])
        if found:
            return form.format(found.group(1).strip())
    return None


def time_of(text: str) -> float | None:
    """Seconds since 1 January of the stamp's own year, None without a stamp.

    >>> time_of("ERROR 01-02 00:00:01 [core.py:9] x")
    86401.0
    """
    for pattern in _STAMPS:
        found = pattern.search(text[:200])
        if found:
            parts = found.groupdict()
            try:
                day = datetime(2024, int(parts["M"]), int(parts["D"]), tzinfo=UTC)
            except ValueError:
                return None
            clock = int(parts["h"]) * 3600 + int(parts["m"]) * 60
            seconds = float(parts["s"].replace(",", "."))
            return (day.timetuple().tm_yday - 1) * 86400 + clock + seconds
    return None
