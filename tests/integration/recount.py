"""The figures of a bench's report once more, from AIPerf's single requests and by other means."""

import json
from math import comb
from statistics import fmean, quantiles

import pytest


def requests_of(folder):
    """The measured requests, seconds: (start, first token after, all after, tokens)."""
    found = []
    for line in (folder / "profile_export.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["metadata"]["benchmark_phase"] == "profiling":
            assert not record.get("error")
            of = {name: metric["value"] for name, metric in record["metrics"].items()}
            found.append((
                record["metadata"]["request_start_ns"] / 1e9, of["time_to_first_token"] / 1e3,
                of["request_latency"] / 1e3, of["output_sequence_length"],
            ))  # fmt: skip
    return sorted(found)


def steady_of(requests, places):
    """Those sent from the answer to the first burst until the last was sent, and that window."""
    begins = max(start + latency for start, _, latency, _ in requests[:places])
    ends = requests[-1][0]
    return [r for r in requests if begins <= r[0] <= ends], begins, ends


def gap_of(request):
    _, first, latency, tokens = request
    return (latency - first) / (tokens - 1)


def tokens_within(requests, begins, ends):
    """Count token by token: the first when it comes, each other in hundredths of its gap."""
    total = 0.0
    for start, first, latency, tokens in requests:
        total += begins <= start + first < ends
        gap = (latency - first) / (tokens - 1)
        for number in range(round(tokens) - 1):
            parts = [start + first + gap * (number + (i + 0.5) / 100) for i in range(100)]
            total += sum(begins <= at < ends for at in parts) / 100
    return total


def bounds_of_median(values):
    """The order statistics between which the median lies, each with 95 %, counted exactly."""
    ordered, n = sorted(values), len(values)
    below = [sum(comb(n, i) for i in range(k + 1)) / 2**n for k in range(n)]
    rank = next(k for k in range(n) if below[k] >= 0.95)
    return ordered[n - 1 - rank], ordered[rank]


def check(run, requests, kept):
    """Hold a run of a report against its requests."""
    terms = {term["name"]: term for term in run["verdict"]["terms"]}
    for name, values in (("ttft", [r[1] for r in kept]), ("itl", [gap_of(r) for r in kept])):
        term = terms[name]
        median = quantiles(values, n=2, method="inclusive")[0]
        # AIPerf writes a request's own gap rounded
        assert term["measured_s"] == pytest.approx(median, rel=1e-3)
        assert term["mean_s"] == pytest.approx(fmean(values), rel=1e-3)
        assert (term["low_s"], term["high_s"]) == pytest.approx(bounds_of_median(values), rel=1e-3)
    assert run["measured"]["num_completed"] == len(kept)
    assert run["verdict"]["error_rate"] == 0
    objectives = (
        [(r[1], terms["ttft"]["objective_s"]) for r in kept],
        [(gap_of(r), terms["itl"]["objective_s"]) for r in kept],
    )
    good = sum(
        all(limit is None or value <= limit for value, limit in pair)
        for pair in zip(*objectives, strict=True)
    )
    assert run["verdict"]["goodput_share"] == pytest.approx(good / len(kept))
    window = run["measured"]["window"]
    assert (window["num_left_out"] if window else 0) == len(requests) - len(kept)
