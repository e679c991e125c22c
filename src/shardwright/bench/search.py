"""The highest concurrency that still meets the objective: double until it breaks, then bisect.

Pure: told what was seen so far, it says what to run next. A run that cannot tell counts as a miss,
so the answer never promises more than was shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from shardwright.verify.verdict import Outcome

MAX_RUNS = 12
CLOSE = 1.1  # neighbours this near are the same answer


def next_concurrency(seen: Mapping[int, Outcome], *, start: int, limit: int) -> int | None:
    """Say which concurrency to run next; None when the answer is known or runs are used up.

    >>> next_concurrency({}, start=8, limit=64)
    8
    >>> next_concurrency({8: Outcome.PASS}, start=8, limit=64)
    16
    >>> next_concurrency({8: Outcome.PASS, 16: Outcome.FAIL}, start=8, limit=64)
    12
    """
    if not seen:
        return start
    if len(seen) >= MAX_RUNS:
        return None
    passed, missed = highest_pass(seen), lowest_miss(seen)
    if missed is None:
        return min(passed * 2, limit) if passed is not None and passed < limit else None
    if passed is None:
        return missed // 2 if missed > 1 else None
    middle = (passed + missed) // 2
    return middle if middle > passed and missed > passed * CLOSE else None


def highest_pass(seen: Mapping[int, Outcome]) -> int | None:
    """The highest load that passed below the lowest that did not."""
    missed = lowest_miss(seen)
    passes = [c for c, o in seen.items() if o is Outcome.PASS and (missed is None or c < missed)]
    return max(passes, default=None)


def lowest_miss(seen: Mapping[int, Outcome]) -> int | None:
    """The lowest load that did not pass."""
    return min((c for c, o in seen.items() if o is not Outcome.PASS), default=None)
