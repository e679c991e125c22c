"""Where a number comes from; every estimate carries it, and a sum takes the weakest."""

from __future__ import annotations

from enum import Enum


class Origin(Enum):
    """How a figure was obtained, strongest first."""

    MEASURED = "measured"
    MODELLED = "modelled"
    ASSUMED = "assumed"


_STRENGTH = (Origin.MEASURED, Origin.MODELLED, Origin.ASSUMED)


def weakest(*origins: Origin) -> Origin:
    """Return the weakest of some origins; measured if there are none.

    >>> weakest(Origin.MEASURED, Origin.ASSUMED, Origin.MODELLED)
    <Origin.ASSUMED: 'assumed'>
    """
    return max(origins, key=_STRENGTH.index, default=Origin.MEASURED)
