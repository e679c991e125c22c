"""Takes secrets out of evidence before it leaves the operator's hands.

Called by `shardwright bundle`. It works on the text of any format, so it needs no parser; it
prefers hiding too much to hiding too little, and says what it hid and how often. The patterns run
in RE2: evidence is untrusted, and no text makes them run away.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import re2

HIDDEN: Final = "[redacted]"
_NOT_SECRETS: Final = frozenset({"null", "none", "true", "false", "auto", "valuefrom:"})

_NAMES: Final = (
    r"(?:api[_-]?key|access[_-]?key|secret[_-]?key|password|passwd|passphrase|client[_-]?secret|"
    r"[_-]token|\btoken)"
)
# kind -> pattern: (what stays)(what is hidden)(what stays)
_SECRETS: Final = tuple(
    (kind, re2.compile(pattern))
    for kind, pattern in (
        ("private key", r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)([^-]*)()"),
        ("Hugging Face token", r"()(\b(?:hf|api_org)_[A-Za-z0-9]{16,})()"),
        ("GitHub token", r"()(\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,})()"),
        ("GitLab token", r"()(\bglpat-[A-Za-z0-9_-]{16,})()"),
        ("API key", r"()(\b(?:sk|nvapi|xox[baprs])-[A-Za-z0-9_-]{16,})()"),
        ("AWS key id", r"()(\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)()"),
        ("web token", r"()(\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)()"),
        ("authorization header", r"(?i)(\b(?:bearer|basic) +)([A-Za-z0-9._~+/=-]{8,})()"),
        ("address with a password", r"(://[^\s:/@]*:)([^\s/@]+)(@)"),
        ("secret value", rf"(?i)({_NAMES}[\"']? ?[:=] ?[\"']?)([^\s\"',;{{}}\]]{{4,}})()"),
        ("secret value", rf"(?i)(--\S*{_NAMES}[ ])([^\s\"',;{{}}\]-]\S{{3,}})()"),
        (
            "environment value",
            (
                r"(?i)(\bname[\"']?: *[\"']?[\w.-]*(?:token|password|passwd|secret|api_?key)[\"']?"
                r",?\s+[\"']?value[\"']?: *[\"']?)([^\s\"',}]+)()"
            ),
        ),
    )
)
_SECRET_OBJECT: Final = re2.compile(r"(?m)^\s*[\"']?kind[\"']?: *[\"']?Secret\b")
_DATA: Final = re2.compile(r"(?m)^(\s+[\"']?[\w.-]+[\"']?: *[\"']?)([A-Za-z0-9+/=]{8,})([\"']?,?)$")


def redact(text: str) -> tuple[str, Counter[str]]:
    """Hide secrets; return the text and how many of each kind were hidden.

    >>> redact("HF_TOKEN=hf_abcdefghijklmnopqrst url http://u:pw@proxy:3128")[0]
    'HF_TOKEN=[redacted] url http://u:[redacted]@proxy:3128'
    """
    hidden: Counter[str] = Counter()
    patterns = (*_SECRETS, ("data of a Secret", _DATA)) if _SECRET_OBJECT.search(text) else _SECRETS
    for kind, pattern in patterns:
        text = pattern.sub(lambda match, kind=kind: _hide(match, kind, hidden), text)
    return text, hidden


def _hide(match: Any, kind: str, hidden: Counter[str]) -> str:
    before, secret, after = match.groups()
    if secret in HIDDEN or secret.lower() in _NOT_SECRETS or not secret.strip():
        whole: str = match.group()
        return whole
    hidden[kind] += 1
    return f"{before}{HIDDEN}{after}"
