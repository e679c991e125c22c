"""How well a sample of requests knows a percentile: distribution-free bounds from order statistics.

Of n requests the number below the true p-quantile is binomial(n, p), whatever the distribution, so
the k-th smallest value bounds it with a probability that can be computed exactly.
Source: David and Nagaraja, Order Statistics, 3rd ed., section 7.1.
"""

from __future__ import annotations

from math import ceil, exp, lgamma, log

CONFIDENCE = 0.95  # one-sided, for each bound


def upper_bound(values: list[float], percentile: float) -> float | None:
    """A value the true percentile does not exceed, with 95 % confidence; None if n is too small.

    >>> upper_bound([float(i) for i in range(59)], 95)
    58.0
    >>> upper_bound([float(i) for i in range(58)], 95) is None
    True
    """
    ordered, p = sorted(values), percentile / 100
    cumulative = 0.0
    for k in range(len(ordered)):
        cumulative += _binomial(len(ordered), k, p)
        if cumulative >= CONFIDENCE:  # at most k values lie below the quantile
            return ordered[k]
    return None


def lower_bound(values: list[float], percentile: float) -> float | None:
    """A value the true percentile is not below, with 95 % confidence; None if n is too small."""
    mirrored = upper_bound([-v for v in values], 100 - percentile)
    return None if mirrored is None else -mirrored


def is_share_above(share: float, good: int, total: int) -> bool | None:
    """Whether the true share of good requests is at least this one, with 95 % confidence.

    False: it is surely below; None: so many requests cannot tell. The exact binomial test, so that
    59 requests, all good, just show a share of 95 %, as they show a p95.

    >>> is_share_above(0.95, 59, 59), is_share_above(0.95, 58, 58), is_share_above(0.95, 50, 59)
    (True, None, False)
    """
    if sum(_binomial(total, k, share) for k in range(good, total + 1)) <= 1 - CONFIDENCE:
        return True
    if sum(_binomial(total, k, share) for k in range(good + 1)) <= 1 - CONFIDENCE:
        return False
    return None


def requests_needed(percentile: float) -> int:
    """Fewest requests whose largest value bounds the percentile from above.

    >>> requests_needed(95), requests_needed(99)
    (59, 299)
    """
    return ceil(log(1 - CONFIDENCE) / log(percentile / 100))


def _binomial(n: int, k: int, p: float) -> float:
    choose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(choose + k * log(p) + (n - k) * log(1 - p))
