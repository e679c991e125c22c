"""Result files of real tools; expected values are recomputed here from the per-request lines."""

import json
from pathlib import Path
from statistics import median

import pytest

from shardwright.model.errors import ShardwrightError
from shardwright.model.request import Slo
from shardwright.verify.readers import read_result
from shardwright.verify.verdict import Outcome, judge
from shardwright.verify.words import verdict_text

DATA = Path(__file__).parents[2] / "data" / "bench"


FOLDERS = sorted(path.name.removeprefix("aiperf-") for path in DATA.glob("aiperf-*"))
STREAMED = [name for name in FOLDERS if "nostream" not in name]


def aiperf(name):
    folder = DATA / f"aiperf-{name}"
    summary = (folder / "profile_export_aiperf.json").read_text()
    lines = (folder / "profile_export.jsonl").read_text()
    records = [json.loads(line) for line in lines.splitlines()]
    kept = [r for r in records if r["metadata"]["benchmark_phase"] == "profiling"]
    return read_result(summary, "f", lines), [r for r in kept if not r.get("error")]


@pytest.mark.parametrize("name", FOLDERS)
def test_aiperf_summary_agrees_with_its_own_records(name):
    measured, records = aiperf(name)
    assert measured.num_completed == len(records) == len(measured.samples)
    tokens = sum(r["metrics"]["output_sequence_length"]["value"] for r in records)
    assert measured.output_tokens == tokens
    latencies = [r["metrics"]["request_latency"]["value"] / 1e3 for r in records]
    assert measured.latency.mean == pytest.approx(sum(latencies) / len(latencies))


@pytest.mark.parametrize("name", STREAMED)
def test_aiperf_first_token_and_inter_token_times(name):
    measured, records = aiperf(name)
    ttfts = [r["metrics"]["time_to_first_token"]["value"] / 1e3 for r in records]
    assert measured.ttft.mean == pytest.approx(sum(ttfts) / len(ttfts))
    # a request's mean time between tokens: (latency - ttft) / (tokens - 1)
    for sample, record in zip(measured.samples, records, strict=True):
        m = record["metrics"]
        rest = m["request_latency"]["value"] - m["time_to_first_token"]["value"]
        gap = rest / (m["output_sequence_length"]["value"] - 1) / 1e3
        assert sample.itl_s == pytest.approx(gap, rel=0.01)


def test_aiperf_load_warm_up_and_errors():
    slow, _ = aiperf("0.13.0-slow")
    assert (slow.tool, slow.tool_version, slow.model) == ("aiperf", "0.13.0", "m")
    assert (slow.concurrency, slow.num_completed) == (4, 40)  # 4 warm-up requests do not count
    rate, _ = aiperf("0.13.0-rate")
    assert (rate.concurrency, rate.requests_per_s) == (None, 10.0)
    errors, _ = aiperf("0.13.0-errors")
    assert (errors.num_failed, errors.error_rate) == (4, 0.2)
    assert errors.errors == ("boom",)


@pytest.mark.parametrize("name", [name for name in FOLDERS if "nostream" in name])
def test_without_streaming_there_is_no_first_token(name):
    measured, _ = aiperf(name)
    assert measured.ttft is None
    assert measured.itl is None


@pytest.mark.parametrize("name", FOLDERS)
def test_every_version_of_aiperf_is_told_from_its_predecessor(name):
    measured, _ = aiperf(name)
    assert measured.tool == "aiperf"
    assert measured.findings == ()
    version = name.split("-")[0]
    assert measured.tool_version == (None if version == "0.3.0" else version)  # it did not say
    assert measured.model
    assert (measured.concurrency is None) != (measured.requests_per_s is None)


@pytest.mark.parametrize("name", [name for name in FOLDERS if "goodput" in name])
def test_goodput_is_what_aiperf_itself_counts(name):
    measured, records = aiperf(name)
    summary = json.loads((DATA / f"aiperf-{name}" / "profile_export_aiperf.json").read_text())
    # asked with --goodput "time_to_first_token:150 inter_token_latency:60"
    verdict = judge(measured, Slo(ttft_s=0.150, itl_s=0.060))
    good = summary["good_request_count"]["avg"]
    assert 0 < good < len(records)  # a run in which it makes a difference
    assert verdict.goodput_share * len(records) == pytest.approx(good)
    assert verdict.goodput_per_s == pytest.approx(summary["goodput"]["avg"], rel=0.02)


@pytest.mark.parametrize("name", [name for name in FOLDERS if "long" in name])
def test_a_real_engines_refusals_are_counted_and_quoted(name):
    measured, records = aiperf(name)
    lines = (DATA / f"aiperf-{name}" / "profile_export.jsonl").read_text().splitlines()
    failed = [r for r in map(json.loads, lines) if r.get("error")]
    failed = [r for r in failed if r["metadata"]["benchmark_phase"] == "profiling"]
    assert measured.num_failed == len(failed) > 0
    assert measured.error_rate == pytest.approx(len(failed) / (len(failed) + len(records)))
    assert measured.errors[0].startswith("This model's maximum context length is 1024 tokens.")


def test_genai_perf_is_read_with_a_warning():
    block = {"unit": "ms", "avg": 80.0, "p50": 79.0, "p95": 99.0, "count": 100}
    document = {
        "request_throughput": {"unit": "requests/sec", "avg": 2.0},
        "request_count": {"unit": "requests", "avg": 100.0},
        "request_latency": {"unit": "ms", "avg": 900.0},
        "time_to_first_token": block,
        "inter_token_latency": block,
        "output_sequence_length": {"unit": "tokens", "avg": 32.0},
        "input_config": {"model": ["demo"], "perf_analyzer": {"stimulus": {"concurrency": 8}}},
    }
    measured = read_result(json.dumps(document), "profile_export_genai_perf.json")
    assert (measured.tool, measured.concurrency, measured.model) == ("genai-perf", 8, "demo")
    assert measured.duration_s == 50.0  # 100 requests at 2 a second
    assert measured.output_tokens == 3200
    assert measured.ttft.at(95) == pytest.approx(0.099)
    assert [f.code for f in measured.findings] == ["genai-perf-definitions"]


def genai_perf(**config):
    """As genai-perf of 2024 wrote it: no counts. Shape: triton perf_analyzer, issue 298."""
    block = {"unit": "ms", "avg": 80.0, "p50": 79.0, "p95": 99.0, "max": 120.0}
    document = {
        "request_throughput": {"unit": "requests/sec", "avg": 2.0},
        "request_latency": block,
        "time_to_first_token": block,
        "output_token_throughput": {"unit": "tokens/sec", "avg": 64.0},
        "output_sequence_length": {"unit": "tokens", "avg": 32.0},
        "input_config": {"model": ["demo"], "concurrency": 8, "request_count": 0, **config},
    }
    return read_result(json.dumps(document), "profile_export_genai_perf.json")


def test_a_result_that_does_not_say_of_how_many_requests_it_is_cannot_tell():
    measured = genai_perf(streaming=True)
    assert measured.ttft.at(95) == pytest.approx(0.099)
    assert measured.output_tokens_per_s == 64.0  # as the tool says it
    verdict = judge(measured, Slo(ttft_s=0.2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("the result does not say of how many requests it is",)
    text = verdict_text(measured, verdict)
    assert "requests             not told" in text
    assert "0.0 s" not in text


def test_genai_perf_calls_the_whole_answer_its_first_token_where_nothing_was_streamed():
    measured = genai_perf(streaming=False)
    assert measured.ttft is None
    assert measured.latency.at(95) == pytest.approx(0.099)


def test_vllm_bench_with_every_request():
    measured = read_result((DATA / "vllm-bench-0.32.0.json").read_text(), "r.json")
    raw = json.loads((DATA / "vllm-bench-0.32.0.json").read_text())
    assert measured.num_completed == raw["completed"] == len(measured.samples)
    assert measured.ttft.mean == pytest.approx(sum(raw["ttfts"]) / len(raw["ttfts"]))
    tpots = [sum(g) / (n - 1) for g, n in zip(raw["itls"], raw["output_lens"], strict=True)]
    assert measured.itl.mean == pytest.approx(sum(tpots) / len(tpots), rel=0.02)
    assert measured.concurrency == raw["max_concurrency"]


def test_vllm_benchs_goodput_is_what_it_counts_itself():
    text = (DATA / "vllm-bench-0.32.0-goodput.json").read_text()
    raw, measured = json.loads(text), read_result(text, "r.json")
    # asked with --goodput ttft:150 tpot:60
    verdict = judge(measured, Slo(ttft_s=0.150, itl_s=0.060))
    per_request = zip(raw["ttfts"], raw["itls"], raw["output_lens"], strict=True)
    good = sum(t <= 0.150 and sum(gaps) / (n - 1) <= 0.060 for t, gaps, n in per_request)
    assert (good, raw["completed"]) == (52, 70)
    assert verdict.goodput_share == pytest.approx(52 / 70)
    assert verdict.goodput_per_s == pytest.approx(raw["request_goodput"])
    assert measured.itl.at(90) == pytest.approx(raw["p90_tpot_ms"] / 1e3)  # not its `itl`, of gaps


def genuine_genai_perf(name):
    folder = DATA / f"genai-perf-{name}"
    summary = (folder / "profile_export_genai_perf.json").read_text()
    [experiment] = json.loads((folder / "profile_export.json").read_text())["experiments"]
    return read_result(summary, "f"), json.loads(summary), experiment["requests"]


def content_times(request):
    """Seconds to each chunk of an answer that holds content; others genai-perf leaves out."""
    for at, out in zip(request["response_timestamps"], request["response_outputs"], strict=True):
        event = out["response"].partition("data: ")[2].strip()
        if not event.startswith("{"):
            continue
        choices = json.loads(event)["choices"]
        if choices and choices[0]["delta"].get("content"):
            yield (at - request["timestamp"]) / 1e9


def test_genai_perfs_figures_are_those_of_its_single_requests():
    measured, raw, requests = genuine_genai_perf("0.0.16")
    times = [list(content_times(r)) for r in requests]
    assert measured.num_completed == len(times) == 12
    assert measured.ttft.mean == pytest.approx(sum(t[0] for t in times) / 12)
    assert measured.ttft.at(50) == pytest.approx(median(t[0] for t in times))
    assert measured.latency.mean == pytest.approx(sum(t[-1] for t in times) / 12)
    # it names the load beside the bounds of a sweep that was not asked for
    assert raw["input_config"]["analyze"]["sweep_parameters"]["concurrency"]["max"] == 1024
    assert measured.concurrency == raw["input_config"]["perf_analyzer"]["stimulus"]["concurrency"]
    assert measured.model == "meta-llama/Llama-3.1-8B-Instruct"
    # 6 tokens were asked of each; it tokenizes what it got anew
    assert measured.output_tokens == 75
    assert [f.code for f in measured.findings] == ["genai-perf-definitions"]


def test_genai_perf_without_streaming_tells_no_first_token():
    measured, _, requests = genuine_genai_perf("0.0.16-nostream")
    assert (measured.num_completed, measured.concurrency, measured.ttft) == (12, 2, None)
    whole = [(r["response_timestamps"][-1] - r["timestamp"]) / 1e9 for r in requests]
    assert measured.latency.mean == pytest.approx(sum(whole) / 12)


def test_sglangs_figures_are_those_of_its_single_requests():
    text = (DATA / "sglang-bench-0.5.5.jsonl").read_text()
    raw, measured = json.loads(text), read_result(text, "r.jsonl")
    assert (measured.tool, measured.num_completed, measured.num_failed) == ("sglang-bench", 70, 0)
    assert (measured.concurrency, measured.requests_per_s) == (2, None)
    assert measured.output_tokens == sum(raw["output_lens"]) == 420
    assert measured.ttft.mean == pytest.approx(sum(raw["ttfts"]) / 70)
    assert measured.ttft.mean == pytest.approx(raw["mean_ttft_ms"] / 1e3)
    gaps = [sum(g) / (n - 1) for g, n in zip(raw["itls"], raw["output_lens"], strict=True)]
    assert measured.itl.mean == pytest.approx(sum(gaps) / 70)
    # its own ends with the last chunk, ours with the last token
    assert measured.itl.mean == pytest.approx(raw["mean_tpot_ms"] / 1e3, rel=0.05)
    assert measured.findings == ()


def test_of_a_file_that_sglang_appended_to_the_last_run_is_read():
    text = (DATA / "sglang-bench-0.5.5.jsonl").read_text()
    other = text.replace('"max_concurrency":2', '"max_concurrency":8')
    assert read_result(text + other, "r.jsonl").concurrency == 8
    short = json.loads(text)
    for name in ("ttfts", "itls", "errors", "input_lens", "output_lens"):
        del short[name]
    summary = read_result(json.dumps(short), "r.jsonl")
    assert summary.ttft.at(99) == pytest.approx(short["p99_ttft_ms"] / 1e3)
    assert [f.code for f in summary.findings] == ["failures-not-told"]
    unstreamed = short | {"mean_ttft_ms": short["mean_e2e_latency_ms"]}
    assert read_result(json.dumps(unstreamed), "r.jsonl").ttft is None


GUIDELLM = ("0.3.1", "0.8.1")


def guidellm(name):
    text = (DATA / f"guidellm-{name}.json").read_text()
    run = json.loads(text)["benchmarks"][-1]
    return read_result(text, "benchmarks.json"), run, run["requests"]["successful"]


@pytest.mark.parametrize("name", GUIDELLM)
def test_guidellms_figures_are_those_of_its_single_requests(name):
    measured, run, requests = guidellm(name)
    assert measured.tool == "guidellm"
    assert measured.num_completed == len(requests) == len(measured.samples) > 0
    assert measured.num_failed == len(run["requests"]["errored"])
    assert measured.output_tokens == sum(r["output_tokens"] for r in requests)
    firsts = sorted(r["time_to_first_token_ms"] / 1e3 for r in requests)
    assert measured.ttft.mean == pytest.approx(sum(firsts) / len(firsts))
    assert measured.ttft.at(50) == pytest.approx(median(firsts))
    gaps = [r["inter_token_latency_ms"] / 1e3 for r in requests]
    assert measured.itl.mean == pytest.approx(sum(gaps) / len(gaps))
    whole = [r["request_latency"] for r in requests]
    assert measured.latency.mean == pytest.approx(sum(whole) / len(whole))
    # and the tool's own summary agrees, whose means are over requests where lengths are equal
    for metric, found in (("time_to_first_token_ms", firsts), ("inter_token_latency_ms", gaps)):
        told = run["metrics"][metric]["successful"]["mean"] / 1e3
        assert told == pytest.approx(sum(found) / len(found))


@pytest.mark.parametrize("name", GUIDELLM)
def test_guidellms_times_are_those_between_its_instants(name):
    measured, _, requests = guidellm(name)
    for sample, request in zip(measured.samples, requests, strict=True):
        at = request.get("info", {}).get("timings") or request
        began = at.get("request_start", at.get("start_time"))
        first = at.get("first_token_iteration", at.get("first_token_time"))
        last = at.get("last_token_iteration", at.get("last_token_time"))
        assert sample.ttft_s == pytest.approx(first - began, abs=1e-5)
        assert sample.itl_s == pytest.approx((last - first) / (sample.output_tokens - 1), abs=1e-5)


def test_guidellms_load_version_and_model_are_told():
    new, _, requests = guidellm("0.8.1")
    assert (new.tool_version, new.concurrency, new.requests_per_s) == ("0.8.1", 2, None)
    delays = [r["request_dispatch_delay"] for r in requests]
    assert min(delays) < new.send_delay_s < max(delays)
    old, _, _ = guidellm("0.3.1")  # which does not name itself
    assert (old.tool_version, old.concurrency, old.send_delay_s) == (None, 2, None)
    assert new.model == old.model == "meta-llama/Llama-3.1-8B-Instruct"


def test_a_sample_of_guidellms_requests_does_not_stand_for_all():
    """Its --output-sampling keeps a few requests; the summary has them all."""
    document = json.loads((DATA / "guidellm-0.8.1.json").read_text())
    kept = document["benchmarks"][0]["requests"]
    kept["successful"] = kept["successful"][:5]
    measured = read_result(json.dumps(document), "benchmarks.json")
    assert (measured.num_completed, measured.samples) == (70, ())
    told = document["benchmarks"][0]["metrics"]["time_to_first_token_ms"]["successful"]
    assert measured.ttft.at(95) == pytest.approx(told["percentiles"]["p95"] / 1e3)


def test_guidellm_takes_the_last_benchmark_and_says_so():
    def dist(mean, p95):
        return {"successful": {"mean": mean, "count": 70, "total_sum": mean * 70,
                               "median": mean - 1, "percentiles": {"p95": p95}}}  # fmt: skip

    run = {
        "duration": 10.0,
        "metrics": {
            "request_totals": {"successful": 70, "errored": 2, "incomplete": 1, "total": 73},
            "time_to_first_token_ms": dist(50.0, 80.0),
            "inter_token_latency_ms": dist(9.0, 11.0),
            "request_latency": dist(1.0, 1.5),
            "output_token_count": dist(64.0, 64.0),
        },
    }
    measured = read_result(json.dumps({"benchmarks": [run, run]}), "benchmarks.json")
    assert (measured.num_completed, measured.num_failed) == (70, 2)
    assert measured.ttft.at(95) == pytest.approx(0.080)
    assert measured.ttft.at(50) == pytest.approx(0.049)
    assert measured.output_tokens == 4480
    assert [f.code for f in measured.findings] == ["several-benchmarks"]


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[]", "{}", "null", '{"request_latency": {}, "input_config": 3}',
     '{"mean_ttft_ms": 1, "completed": "x"}', '{"benchmarks": [{"metrics": {}}]}', "[" * 100_000],
)  # fmt: skip
def test_any_other_file_is_a_clear_error(text):
    with pytest.raises(ShardwrightError) as caught:
        read_result(text, "r.json")
    assert caught.value.code == "result-not-readable"


def test_single_requests_that_are_cut_short_are_said_by_their_file_and_line():
    folder = DATA / "aiperf-0.13.0-slow"
    summary = (folder / "profile_export_aiperf.json").read_text()
    lines = (folder / "profile_export.jsonl").read_text().splitlines()
    cut = "\n".join([*lines[:20], lines[20][:500]])
    with pytest.raises(ShardwrightError) as caught:
        read_result(summary, "run/profile_export_aiperf.json", cut)
    assert "line 21 of profile_export.jsonl beside it" in caught.value.what
    assert "move profile_export.jsonl away" in caught.value.remedy


def test_a_long_answer_is_quoted_with_a_mark_where_it_is_cut():
    document = json.loads((DATA / "aiperf-0.13.0-errors/profile_export_aiperf.json").read_text())
    document["error_summary"][0]["error_details"]["message"] = "word " * 100
    [message] = read_result(json.dumps(document), "f").errors
    assert message.endswith("word …")
    assert len(message) <= 200
