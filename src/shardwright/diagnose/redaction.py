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
    r"(?:(?:api|access|secret|private|account|shared|signing|encryption|auth)[_-]?key(?:[_-]?id)?|"
    r"password|passwd|passphrase|[_-]pass|client[_-]?secret|[_-]secret|credentials?|"
    r"[_-]token|\btoken|client-key-data|dockerconfigjson|[\"']auth|X-Amz-Credential)"
)
_QUOTES: Final = r"(?:\\?[\"'])?"
# kind -> pattern: (what stays)(what is hidden)(what stays)
_SECRETS: Final = tuple(
    (kind, re2.compile(pattern))
    for kind, pattern in (
        ("private key", r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)([^-]*)()"),
        ("Hugging Face token", r"()(\b(?:hf|api_org)_[A-Za-z0-9]{16,})()"),
        ("GitHub token", r"()(\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,})()"),
        ("GitLab token", r"()(\bglpat-[A-Za-z0-9_-]{16,})()"),
        ("API key", r"()(\b(?:sk|nvapi|xox[baprs])-[A-Za-z0-9_-]{16,})()"),
        ("API key", r"()(\bAIza[A-Za-z0-9_-]{30,})()"),
        ("AWS key id", r"()(\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)()"),
        ("web token", r"()(\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)()"),
        (
            "authorization header",
            r"(?i)(\bauthorization\\?[\"']?[ \t]*[:=][ \t]*\\?[\"']?(?:\w+ +)?)([^\s\"'\\]{4,})()",
        ),
        ("authorization header", r"(?i)(\b(?:bearer|basic) +)([A-Za-z0-9._~+/=-]{8,})()"),
        ("cookie", r"(?i)(\bcookie[\"']?: *)([^\n;\"']{4,})()"),
        ("address with a password", r"(://[^\s:/@\"']*:)([^\s/@]+)(@)"),
        ("address with a password", r"(://)([^\s:/@\"'?]{8,})(@)"),
        ("user and password", r"((?:[ \t]-u|--user)[ =][\"']?[^\s:\"']{1,80}:)([^\s\"']+)()"),
        (
            "signature in an address",
            (
                r"(?i)([?&](?:sig|signature|x-(?:amz|goog)-signature|x-amz-security-token|key|auth)=)"
                r"([^&\s\"']{6,})()"
            ),
        ),
        (
            "secret value",
            rf"(?i)({_NAMES}{_QUOTES}[ \t]*[:=][ \t]*\[?{_QUOTES})([^\s\"',;{{}}\[\]<\\&]{{4,}})()",
        ),
        ("secret value", r"(\b[A-Z0-9_]+_KEY[ \t]*[:=][ \t]*[\"']?)([^\s\"',;{}<\[\]]{4,})()"),
        (
            "secret value",
            (
                rf"(?i)(--\S*{_NAMES}[\"']?,?\s+(?:- +)?[\"']?)"
                r"([^\s\"',;{}\[\]<-]\S{3,}?)([\"'\s]|$)"
            ),
        ),
        (
            "environment value",
            (
                r"(?i)(\bname\\?[\"']?: *\\?[\"']?[\w.-]*(?:token|password|passwd|pass|secret|key|"
                r"credentials?)\\?[\"']?,?\s*\\?[\"']?value\\?[\"']?: *\\?[\"']?)"
                r"([^\s\"',}\\]+)()"
            ),
        ),
        (
            "environment value",
            (
                r"(?i)([\"']value[\"']: *[\"'])([^\"']+)([\"'],\s*[\"']name[\"']: *[\"'][\w.-]*"
                r"(?:token|password|passwd|pass|secret|key|credentials?)\b)"
            ),
        ),
    )
)
_SECRET_OBJECT: Final = re2.compile(r"[\"']?kind[\"']?: *[\"']?Secret\b")
_DATA: Final = re2.compile(r"[\"']?\b(?:data|stringData)[\"']?[ \t]*:[ \t]*")
_ENTRY: Final = re2.compile(r"([\"']?[\w.-]+[\"']?[ \t]*:[ \t]*[\"']?)([^\s\"',{}]+)()")


def redact(text: str) -> tuple[str, Counter[str]]:
    """Hide secrets; return the text and how many of each kind were hidden.

    >>> redact("HF_TOKEN=hf_abcdefghijklmnopqrst url http://u:pw@proxy:3128")[0]
    'HF_TOKEN=[redacted] url http://u:[redacted]@proxy:3128'
    """
    hidden: Counter[str] = Counter()
    parts = text.split("\n---")
    text = "\n---".join(
        _without_data(part, hidden) if _SECRET_OBJECT.search(part) else part for part in parts
    )
    for kind, pattern in _SECRETS:
        text = pattern.sub(lambda match, kind=kind: _hide(match, kind, hidden), text)
    return text, hidden


def _without_data(text: str, hidden: Counter[str]) -> str:
    """Hide every value below `data` and `stringData` of a Secret, in YAML or JSON."""
    out, rest = [], text
    while found := _DATA.search(rest):
        end = _end_of_data(rest, found.start(), found.end())
        body = rest[found.end() : end]
        out += [
            rest[: found.end()],
            _ENTRY.sub(lambda match: _hide(match, "data of a Secret", hidden), body),
        ]
        rest = rest[end:]
    return "".join([*out, rest])


def _end_of_data(text: str, start: int, after: int) -> int:
    """Return where the mapping ends: at its brace in JSON, at a line less indented in YAML."""
    if text[after : after + 1] == "{":
        close = text.find("}", after)
        return close + 1 if close >= 0 else len(text)
    indent = start - (text.rfind("\n", 0, start) + 1)
    position = text.find("\n", after)
    while position >= 0:
        line = text[position + 1 : (text.find("\n", position + 1) + 1 or len(text) + 1) - 1]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return position + 1
        position = text.find("\n", position + 1)
    return len(text)


def _hide(match: Any, kind: str, hidden: Counter[str]) -> str:
    before, secret, after = match.groups()
    if secret in HIDDEN or secret.lower() in _NOT_SECRETS or not secret.strip():
        whole: str = match.group()
        return whole
    hidden[kind] += 1
    return f"{before}{HIDDEN}{after}"
