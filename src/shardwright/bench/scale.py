"""Axes that a reader can read: round ends, few ticks, seconds in a unit that fits."""

from __future__ import annotations

from math import ceil, floor, log10


def nice_ceiling(value: float) -> float:
    """The next round number, of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten.

    >>> nice_ceiling(0.0283), nice_ceiling(1130.0)
    (0.03, 1200.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return float(next(s for s in steps if s * power >= value * 0.999999) * power)


def ticks(most: float) -> tuple[float, ...]:
    """Round values from 0 to the end of an axis that `nice_ceiling` made, four to six of them.

    >>> ticks(1200.0), ticks(15.0)
    ((0.0, 300.0, 600.0, 900.0, 1200.0), (0.0, 5.0, 10.0, 15.0))
    """
    head = round(most / 10.0 ** floor(log10(most)), 6)
    count = {1: 5, 2.5: 5, 5: 5, 1.5: 3, 3: 3, 6: 3}.get(head, 4)
    return tuple(most * i / count for i in range(count + 1))


def whole_ticks(most: float) -> tuple[int, ...]:
    """Ticks of a count, whole numbers from 0 to at least `most`, five at most.

    >>> whole_ticks(1), whole_ticks(6), whole_ticks(230)
    ((0, 1), (0, 2, 4, 6), (0, 60, 120, 180, 240))
    """
    step = max(1, ceil(nice_ceiling(most / 4)))
    return tuple(range(0, step * max(1, ceil(most / step)) + 1, step))


def seconds(value: float) -> str:
    """Write seconds as people read them.

    >>> [seconds(v) for v in (0.0, 0.00734, 0.412, 3.145, 75.0)]
    ['0', '7.3 ms', '412 ms', '3.1 s', '75 s']
    """
    if value == 0:
        return "0"
    if value < 0.1:
        return f"{round(value * 1e3, 1):g} ms"
    if value < 1:
        return f"{value * 1e3:.0f} ms"
    return f"{round(value, 1):g} s" if value < 10 else f"{value:.0f} s"
