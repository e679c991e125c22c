"""From a spec's workload to what AIPerf is told to send."""

from tests.unit.bench.known_server import TARGET, scenario

from shardwright.bench.aiperf import API_KEY_VARIABLE, Target, aiperf_config
from shardwright.bench.scenario import replayed, scenario_for
from shardwright.model.request import Slo, Workload


def test_scenario_from_the_spec():
    made = scenario_for(Workload(concurrency=32), Slo(percentile=95))
    # ten rounds of 32 hold 59 requests besides the first and the last round
    assert (made.num_requests, made.num_warmup) == (320, 32)
    few = scenario_for(Workload(concurrency=4), Slo(percentile=99))
    assert few.num_requests == 299 + 2 * 4
    # 2.5 a second, each in flight for at most 2 + 99 x 0.05 = 6.95 s: 17.4 at once
    workload = Workload(requests_per_s=2.5, output_tokens=100)
    rate = scenario_for(workload, Slo(ttft_s=2.0, itl_s=0.05, percentile=99))
    assert (rate.concurrency, rate.num_requests, rate.load) == (None, 299 + 18, "2.5 requests/s")
    assert rate.num_warmup == 18
    assert scenario_for(workload, Slo(percentile=99)).num_requests == 2 * 299


def test_the_configuration_for_aiperf_names_the_key_and_never_holds_it():
    target = Target(url="http://h:8000", model="m", tokenizer="/t", has_api_key=True)
    config = aiperf_config(scenario(), target, "/runs/a")["benchmark"]
    assert config["endpoint"]["api_key"] == "${" + API_KEY_VARIABLE + "}"
    assert config["endpoint"]["extra"] == {"ignore_eos": True}
    kinds = [(p["kind"], p["requests"], p["concurrency"]) for p in config["phases"]]
    assert kinds == [("warmup", 1, 8), ("profiling", 60, 8)]


def test_shared_prefixes_are_part_of_the_prompt_length():
    made = scenario_for(Workload(input_tokens=100, prefix_tokens=60, concurrency=1), Slo())
    dataset = aiperf_config(made, TARGET, "a")["benchmark"]["datasets"][0]
    assert dataset["prompts"]["isl"]["mean"] == 40
    assert dataset["prefix_prompts"]["length"] == 60


def test_lengths_prefixes_and_rates_reach_aiperf():
    load = Workload(
        input_tokens=100, input_stddev=20, output_tokens=50, output_stddev=5, prefix_tokens=60,
        num_prefixes=3, requests_per_s=2.5,
    )  # fmt: skip
    config = aiperf_config(scenario_for(load, Slo()), TARGET, "a")["benchmark"]
    dataset = config["datasets"][0]
    assert dataset["prompts"]["isl"] == {"mean": 40, "stddev": 20}
    assert dataset["prompts"]["osl"] == {"mean": 50, "stddev": 5}
    assert dataset["prefix_prompts"] == {"pool_size": 3, "length": 60}
    assert {(p["type"], p["rate"]) for p in config["phases"]} == {("poisson", 2.5)}


def test_a_trace_is_replayed_at_its_own_instants():
    made = replayed(scenario_for(Workload(concurrency=4), Slo()), "/t.jsonl", 12)
    config = aiperf_config(made, TARGET, "a")["benchmark"]
    assert config["datasets"][0]["path"] == "/t.jsonl"
    assert [p["type"] for p in config["phases"]] == ["fixed_schedule"]
    assert made.load == "trace of 12 requests"
