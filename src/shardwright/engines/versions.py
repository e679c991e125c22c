"""Engine versions compared as numbers; suffixes such as `.post1` or `rc2` do not count."""

from __future__ import annotations

import re


def release(version: str) -> tuple[int, ...]:
    """Read the numbers of a release.

    >>> release("v0.11.1.post1"), release("1.3.0rc22")
    ((0, 11, 1), (1, 3, 0))
    """
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(n) for n in match[1].split(".")) if match else ()


def is_at_least(version: str, since: str) -> bool:
    """Tell whether a version is not older than another.

    >>> is_at_least("0.9.2", "0.11.1")
    False
    """
    return release(version) >= release(since)
