"""What one GPU costs an hour: rented at a dated list price, owned, or at the user's own price.

Data: facts/data/nodes.csv (list prices of clouds) and facts/data/ownership.csv (purchase, power).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shardwright.facts import ownership
from shardwright.facts.gpus import gpu
from shardwright.facts.nodes import with_gpu
from shardwright.model.origin import Origin

HOURS_PER_YEAR = 8766


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars of one GPU for one hour, and where the figure is from."""

    usd_per_hour: float
    source: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Owning:
    """What a bought GPU costs besides its price. None: the dated fact of the same name.

    watts: draw of one GPU with its share of the machine; power_overhead: for cooling (PUE).
    """

    years: float | None = None
    watts: float | None = None
    usd_per_kwh: float | None = None
    power_overhead: float | None = None

    def usd_per_hour(self, price_usd: float, tdp_w: float) -> float:
        """Write-off and power of one hour, running all the time at the GPU's design power.

        >>> owning = Owning(years=4, usd_per_kwh=0.1, power_overhead=1)
        >>> round(owning.usd_per_hour(35_064, tdp_w=1000), 2)
        1.1
        """
        years = self.years or ownership.figure("write-off")
        kwh = self.usd_per_kwh if self.usd_per_kwh is not None else ownership.figure("electricity")
        overhead = self.power_overhead or ownership.figure("power-overhead")
        power = (self.watts or tdp_w) / 1000 * kwh * overhead
        return price_usd / (years * HOURS_PER_YEAR) + power


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The user's prices before dated ones. Keys are GPU ids, `` for every GPU.

    per_hour: of one GPU; bought: purchase price of one GPU with its share of the machine.
    is_owned: nothing is rented; GPUs without a price of the user's own take the dated one.
    """

    per_hour: Mapping[str, float] = field(default_factory=dict)
    bought: Mapping[str, float] = field(default_factory=dict)
    is_owned: bool = False
    owning: Owning = field(default_factory=Owning)

    def of(self, gpu_id: str) -> Price | None:
        """Return what a GPU costs an hour, None where no price is known.

        >>> Prices(per_hour={"": 2.5}).of("H100-SXM").usd_per_hour
        2.5
        """
        own = self.per_hour.get(gpu_id, self.per_hour.get(""))
        if own is not None:
            return Price(usd_per_hour=own, source="your own price", origin=Origin.MEASURED)
        bought = self.bought.get(gpu_id, self.bought.get(""))
        if bought is not None:
            return self._owned(gpu_id, bought, "your own purchase price", Origin.MODELLED)
        if self.is_owned:
            fact = ownership.purchase(gpu_id)
            if fact is None:
                return None
            where = f"{fact.source}, {fact.published}"
            return self._owned(gpu_id, fact.value, where, Origin.ASSUMED)
        return listed(gpu_id)

    def _owned(self, gpu_id: str, usd: float, where: str, origin: Origin) -> Price:
        years = self.owning.years or ownership.figure("write-off")
        hourly = self.owning.usd_per_hour(usd, gpu(gpu_id).tdp_w or 0.0)
        said = f"bought for {usd:,.0f} ({where}), over {years:g} years, with power"
        return Price(usd_per_hour=hourly, source=said, origin=origin)


def listed(gpu_id: str) -> Price | None:
    """Return the lowest list price per GPU and hour, or None if we know none.

    Machines of eight GPUs go first: a share of a small machine is not what a group of ranks gets.
    """
    priced = [n for n in with_gpu(gpu_id) if n.price_usd_per_hour is not None]
    if not priced:
        return None
    best = next((n for n in priced if n.gpus >= 8), priced[0])
    return Price(
        usd_per_hour=(best.price_usd_per_hour or 0.0) / best.gpus,
        source=f"{best.cloud} {best.name}, {best.price_date}",
        origin=Origin.MODELLED,
    )
