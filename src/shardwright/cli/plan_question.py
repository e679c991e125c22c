"""What `shardwright plan` may choose from and by which prices: its options made a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shardwright.model.errors import usage_error

if TYPE_CHECKING:
    from shardwright.planner.plan import Question
    from shardwright.planner.prices import Prices


def names(texts: Sequence[str]) -> tuple[str, ...]:
    """Read repeated options that may hold lists.

    >>> names(["a,b", "c", "a"])
    ('a', 'b', 'c')
    """
    found = [part.strip() for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(part for part in found if part))


def question_of(
    gpus: Sequence[str],
    engines: Sequence[str],
    quantizations: Sequence[str],
    objective: str,
    prices: Prices,
) -> Question:
    """Return what is asked; unknown names are the user's error, with the nearest known."""
    from shardwright.engines import find_engine
    from shardwright.facts.gpus import gpu
    from shardwright.planner.bases import Allowed
    from shardwright.planner.objective import Objective
    from shardwright.planner.plan import Question
    from shardwright.shape.quantization import requested

    allowed = Allowed(gpus=names(gpus), engines=names(engines), quantizations=names(quantizations))
    for name in allowed.gpus:
        gpu(name)
    for name in allowed.engines:
        find_engine(name)
    for name in allowed.quantizations:
        requested(name)
    return Question(allowed=allowed, objective=Objective(objective), prices=prices)


def prices_of(
    per_hour: Sequence[str],
    bought: Sequence[str],
    is_owned: bool,
    years: float | None,
    usd_per_kwh: float | None,
) -> Prices:
    """Return the user's prices: `2.5` for every GPU, or `H100-SXM=2.5`."""
    from shardwright.planner.prices import Owning, Prices

    return Prices(
        per_hour=_by_gpu(per_hour, "--usd-per-gpu-hour"),
        bought=_by_gpu(bought, "--usd-per-gpu"),
        is_owned=is_owned,
        owning=Owning(years=years, usd_per_kwh=usd_per_kwh),
    )


def _by_gpu(texts: Sequence[str], option: str) -> dict[str, float]:
    from shardwright.facts.gpus import gpu

    out = {}
    for part in names(texts):
        name, _, value = part.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e9:
            raise usage_error(
                "price-unreadable",
                f"{option} {part!r} is no price",
                remedy=f"write a number, or one per GPU: {option} H100-SXM=2.5",
            )
        out[gpu(name).id if name else ""] = number
    return out
