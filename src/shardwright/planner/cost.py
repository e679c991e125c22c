"""What a layout costs: dated list prices of machines with its GPU, or the user's own price."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.facts.nodes import with_gpu
from shardwright.model.origin import Origin
from shardwright.model.plan import Cost

HOURS_PER_YEAR = 8766


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedGpu:
    """A GPU that was bought, with its share of the machine around it.

    price_usd is written off over years; watts is the draw at the wall of GPU and share, times
    power_overhead for cooling (PUE).
    """

    price_usd: float
    years: float = 4.0
    watts: float = 1000.0
    usd_per_kwh: float = 0.12
    power_overhead: float = 1.3

    @property
    def usd_per_hour(self) -> float:
        """Write-off and power of one hour.

        >>> round(OwnedGpu(price_usd=35_064, years=4, watts=1000, usd_per_kwh=0.1,
        ...                power_overhead=1).usd_per_hour, 2)
        1.1
        """
        written_off = self.price_usd / (self.years * HOURS_PER_YEAR)
        return written_off + self.watts / 1000 * self.usd_per_kwh * self.power_overhead


def listed_price(gpu_id: str) -> tuple[float, str] | None:
    """Return the lowest list price per GPU and hour with its source, or None if we know none.

    Machines of eight GPUs go first: a share of a small machine is not what a group of ranks gets.
    """
    priced = [n for n in with_gpu(gpu_id) if n.price_usd_per_hour is not None]
    if not priced:
        return None
    best = next((n for n in priced if n.gpus >= 8), priced[0])
    price = (best.price_usd_per_hour or 0.0) / best.gpus
    return price, f"{best.cloud} {best.name}, {best.price_date}"


def cost_of(
    gpu_id: str,
    num_gpus: int,
    *,
    output_tokens_per_s: float | None = None,
    usd_per_gpu_hour: float | None = None,
) -> Cost | None:
    """Return cost per hour and per million output tokens; None where no price is known.

    usd_per_gpu_hour: the user's own price, which goes before the list. output_tokens_per_s: of all
    GPUs together, at the asked load.

    >>> cost_of("H100-SXM", 8, usd_per_gpu_hour=2.0, output_tokens_per_s=1000).usd_per_hour
    16.0
    """
    if usd_per_gpu_hour is not None:
        per_gpu, source, origin = usd_per_gpu_hour, "your own price", Origin.MEASURED
    else:
        listed = listed_price(gpu_id)
        if listed is None:
            return None
        per_gpu, source, origin = *listed, Origin.MODELLED
    per_hour = per_gpu * num_gpus
    per_million = per_hour / (output_tokens_per_s * 3600) * 1e6 if output_tokens_per_s else None
    return Cost(
        usd_per_hour=round(per_hour, 4),
        usd_per_million_output_tokens=per_million,
        origin=origin,
        source=source,
    )
