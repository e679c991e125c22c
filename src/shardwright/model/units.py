"""Bytes and how people write them. GB is 10^9 and GiB is 2^30; code holds bytes only."""

from __future__ import annotations

import re
from functools import lru_cache

MIB = 2**20
GIB = 2**30
GB = 10**9

_SUFFIX = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
_QUANTITY = re.compile(r"^([0-9]{1,24}(?:\.[0-9]{1,24})?)(|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)$")


@lru_cache(maxsize=1024)
def parse_quantity(text: str) -> int | None:
    """Read a Kubernetes quantity of bytes; None if it is not one.

    Source: Kubernetes API conventions, "Quantity" (decimal and binary suffixes).

    >>> parse_quantity("64Mi"), parse_quantity("1.5G"), parse_quantity("10 GB")
    (67108864, 1500000000, None)
    """
    match = _QUANTITY.match(text)
    return round(float(match[1]) * _SUFFIX[match[2]]) if match else None


def format_quantity(num_bytes: int) -> str:
    """Write bytes as the shortest exact binary Kubernetes quantity.

    >>> format_quantity(64 * MIB), format_quantity(GIB + 1)
    ('64Mi', '1073741825')
    """
    for suffix in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        if num_bytes and num_bytes % _SUFFIX[suffix] == 0:
            return f"{num_bytes // _SUFFIX[suffix]}{suffix}"
    return str(num_bytes)


def gib(num_bytes: float) -> str:
    """Write bytes as GiB for people.

    >>> gib(140 * 10**9)
    '130.4 GiB'
    """
    return f"{num_bytes / GIB:.1f} GiB"


def format_cpu(millis: int) -> str:
    """Write CPU as Kubernetes does.

    >>> format_cpu(2000), format_cpu(1500)
    ('2', '1500m')
    """
    return f"{millis}m" if millis % 1000 else str(millis // 1000)
