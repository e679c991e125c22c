"""What owning GPUs costs, as dated public figures. Data: data/ownership.csv.

Rough by nature: vendors publish no list price. Users give their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.facts.table import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure. unit: usd, usd/kWh, years or ratio; published: day or period it speaks of."""

    item: str
    value: float
    unit: str
    published: str
    source: str


def purchase(gpu_id: str) -> Fact | None:
    """Return the street price of one GPU, None where nobody we read names one.

    >>> purchase("H100-SXM").unit, purchase("L4") is None
    ('usd', True)
    """
    found = _facts().get(gpu_id)
    return found if found and found.unit == "usd" else None


def figure(item: str) -> float:
    """Return a figure of a site: electricity (usd/kWh), power-overhead (PUE), write-off (years).

    >>> 1 < figure("power-overhead") < 2
    True
    """
    return _facts()[item].value


def _facts() -> dict[str, Fact]:
    return {
        row["item"]: Fact(
            item=row["item"],
            value=float(row["value"]),
            unit=row["unit"],
            published=row["published"],
            source=row["source"],
        )
        for row in rows("ownership.csv")
    }
