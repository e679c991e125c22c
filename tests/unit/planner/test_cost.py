"""What a layout costs: the user's price, the dated list, and GPUs that are owned."""

import pytest

from shardwright.facts import ownership
from shardwright.model.origin import Origin
from shardwright.model.plan import Speed
from shardwright.model.request import Workload
from shardwright.planner.cost import cost_of
from shardwright.planner.prices import Owning, Prices, listed

SPEED = Speed(
    ttft_s=1, ttft_percentile_s=1, itl_s=0.01, itl_percentile_s=0.01, output_tokens_per_s=1000,
    output_tokens_per_s_per_gpu=1000, is_saturated=False, origin=Origin.MODELLED,
    prefill_share=0.25,
)  # fmt: skip
LOAD = Workload(input_tokens=2000, output_tokens=500)


def test_the_users_own_price_goes_before_the_list():
    price = Prices(per_hour={"H100-SXM": 2.5, "": 9.0})
    assert cost_of(price.of("H100-SXM"), 16, LOAD, None).usd_per_hour == 40.0
    assert price.of("H200-SXM").usd_per_hour == 9.0


def test_a_list_price_is_dated_and_an_unknown_gpu_has_none():
    price = Prices().of("H200-SXM")
    assert price == listed("H200-SXM")
    assert "20" in price.source  # a year
    assert Prices().of("no-such-gpu") is None
    assert cost_of(None, 8, LOAD, SPEED) is None


def test_tokens_bear_the_bill():
    # 3.6 dollars an hour, 1,000 tokens/s = 3.6 million an hour: a dollar per million
    cost = cost_of(Prices(per_hour={"": 3.6}).of("H100-SXM"), 1, LOAD, SPEED)
    assert cost.usd_per_million_output_tokens == pytest.approx(1.0)
    # three quarters of the time decode; prompts take a quarter and have 4 tokens per output token
    assert cost.shared_usd_per_million_output_tokens == pytest.approx(0.75)
    assert cost.shared_usd_per_million_input_tokens == pytest.approx(0.25 / 4)


def test_an_owned_gpu_costs_its_write_off_and_its_power():
    owning = Owning(years=3, watts=1000, usd_per_kwh=0.1, power_overhead=1.5)
    assert owning.usd_per_hour(30_000, tdp_w=700) == pytest.approx(30_000 / 26_298 + 0.15)
    price = Prices(bought={"H100-SXM": 30_000}, owning=owning).of("H100-SXM")
    assert price.usd_per_hour == pytest.approx(30_000 / 26_298 + 0.15)


def test_street_prices_are_assumed_and_say_where_they_are_from():
    price = Prices(is_owned=True).of("H100-SXM")
    fact = ownership.purchase("H100-SXM")
    assert price.origin is Origin.ASSUMED
    assert fact.source in price.source
    assert fact.published in price.source
    # 30,000 over 5 years of 8,766 hours, and 0.7 kW x 1.2 at 0.08 dollars
    assert price.usd_per_hour == pytest.approx(30_000 / 43_830 + 0.0672)
    assert Prices(is_owned=True).of("L4") is None
