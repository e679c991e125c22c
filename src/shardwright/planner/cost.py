"""What a layout costs, per hour and per million tokens, at a price of its GPU."""

from __future__ import annotations

from shardwright.model.plan import Cost, Speed
from shardwright.model.request import Workload
from shardwright.planner.prices import Price


def cost_of(price: Price | None, num_gpus: int, load: Workload, speed: Speed | None) -> Cost | None:
    """Return the bill per hour, per million output tokens, and shared between input and output.

    What is saturated has no cost per token: the load it was asked for is not served.
    """
    if price is None:
        return None
    hourly = price.usd_per_hour * num_gpus
    whole = shared_in = shared_out = None
    if speed is not None and not speed.is_saturated:
        output_per_hour = speed.output_tokens_per_s * 3600
        whole = hourly / output_per_hour * 1e6
        if speed.prefill_share is not None:
            shared_out = whole * (1 - speed.prefill_share)
            per_output = load.input_tokens / max(load.output_tokens, 1)
            shared_in = whole * speed.prefill_share / per_output
    return Cost(
        usd_per_hour=round(hourly, 4),
        usd_per_gpu_hour=round(price.usd_per_hour, 4),
        usd_per_million_output_tokens=whole,
        shared_usd_per_million_input_tokens=shared_in,
        shared_usd_per_million_output_tokens=shared_out,
        origin=price.origin,
        source=price.source,
    )
