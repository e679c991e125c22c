"""Release numbers as engines and images print them: `0.6.3.post1`, `v0.9.1`, `1.3.0rc22`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERSION = re.compile(
    r"v?(\d{1,6}(?:\.\d{1,6}){1,3})(?:\.?(rc|post|dev|a|b)(\d{1,6})?)?(?:[-+].*)?"
)
_BEFORE_RELEASE = {"dev": -4, "a": -3, "b": -2, "rc": -1}


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A release. stage: 0 for the release itself, negative before it, 1 for a post-release."""

    release: tuple[int, ...]
    stage: int = 0
    number: int = 0

    def __str__(self) -> str:
        """Write it as its project does."""
        text = ".".join(str(part) for part in self.release)
        if self.stage > 0:
            return f"{text}.post{self.number}"
        for name, stage in _BEFORE_RELEASE.items():
            if stage == self.stage:
                return f"{text}{name}{self.number}"
        return text

    @property
    def minor(self) -> tuple[int, ...]:
        """The first two numbers."""
        return self.release[:2]


def parse_version(text: str) -> Version | None:
    """Read a release number, with or without `v`, anything after `-` or `+` left out.

    >>> parse_version("v0.6.3.post1"), parse_version("latest")
    (Version(release=(0, 6, 3), stage=1, number=1), None)
    >>> parse_version("1.3.0rc2") < parse_version("1.3.0") < parse_version("1.3.0.post1")
    True
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    release = tuple(int(part) for part in match[1].split("."))
    release = release + (0,) * (3 - len(release))
    stage = 1 if match[2] == "post" else _BEFORE_RELEASE.get(match[2] or "", 0)
    return Version(release, stage, int(match[3] or 0))
