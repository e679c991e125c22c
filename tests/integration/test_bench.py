"""`bench` with the real AIPerf against a server whose delays are set. Needs AIPerf installed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.integration.slow_server import slow_server

from shardwright.rehearse.tokenizer import files

ENGINES = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shardwright" / "engines"
)

pytestmark = pytest.mark.skipif(
    not (os.environ.get("SHARDWRIGHT_AIPERF") or list(ENGINES.glob("aiperf-*/installed.json"))),
    reason="AIPerf is not installed: shardwright engines install aiperf",
)


DELAYS = ("--ttft", "0.1", "--itl", "0.02")


@pytest.fixture
def two_places():
    """100 ms to the first token, 20 ms between tokens, two requests at a time."""
    with slow_server(*DELAYS, "--slots", "2") as url:
        yield url


def command_of(url, tmp_path, *options):
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir(exist_ok=True)
    for name, content in files(4096).items():
        (tokenizer / name).write_text(json.dumps(content))
    out = tmp_path / "out"
    return [
        sys.executable, "-m", "shardwright", "bench", url, "--tokenizer", tokenizer, "--out", out,
        "--no-record", "--input-tokens", "32", "--output-tokens", "6", *options,
    ]  # fmt: skip


def bench(url, tmp_path, *options):
    command, out = command_of(url, tmp_path, *options), tmp_path / "out"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (out / "result.json").is_file(), done.stderr
    return done.returncode, json.loads((out / "result.json").read_text()), out


def test_a_queue_in_front_of_two_places_is_measured_judged_and_explained(two_places, tmp_path):
    # four requests for two places: each waits for another of 0.1 + 5 x 0.02 = 0.2 s, so no first
    # token can come before 0.1 s, and half of them come after 0.3 s and more
    code, result, out = bench(two_places, tmp_path, "--concurrency", "4", "--ttft-ms", "150")
    run = result["runs"][0]
    ttft = run["verdict"]["terms"][0]
    assert ttft["measured_s"] >= 0.25
    assert code == (1 if result["outcome"] == "fail" else 4)  # 4: this machine was too busy to send
    assert run["server"]["queue_max"] >= 1
    assert run["measured"]["window"]["num_left_out"] > 0
    page = (out / "report.html").read_text()
    assert "requests waited in the engine" in page
    assert 'src="http' not in page


def test_a_model_that_is_swapped_before_the_load_is_named(tmp_path):
    with slow_server(*DELAYS, "--swap-after", "1") as url:
        command = command_of(url, tmp_path, "--concurrency", "2", "--requests", "10")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "error: model-not-served" in done.stderr
    assert "does not serve slow; it serves other" in done.stderr


def test_a_server_that_dies_during_the_load_fails_it_with_the_reason(tmp_path):
    with slow_server(*DELAYS, "--die-after", "20") as url:
        code, result, out = bench(url, tmp_path, "--concurrency", "2", "--requests", "40",
                                  "--ttft-ms", "60000", "--percentile", "50")  # fmt: skip
    [run] = result["runs"]
    assert (code, result["outcome"]) == (1, "fail")
    # two warm up and 17 or, with the one that is cut off, 16 are answered
    window = run["measured"]["window"]
    answered = run["measured"]["num_completed"] + (window["num_left_out"] if window else 0)
    assert answered + run["measured"]["num_failed"] == 40
    assert 16 <= answered <= 17
    assert any("onnect" in message for message in run["measured"]["errors"])
    assert "requests failed" in (out / "report.md").read_text()


def test_answers_that_a_proxy_collects_are_told_from_streamed_ones(tmp_path):
    with slow_server(*DELAYS, "--collects") as url:
        _, result, _ = bench(url, tmp_path, "--concurrency", "2", "--requests", "10",
                             "--ttft-ms", "60000", "--percentile", "50")  # fmt: skip
    [run] = result["runs"]
    assert "answers-in-one-piece" in [f["code"] for f in run["verdict"]["findings"]]
    # the first token comes with the last: 0.1 + 5 x 0.02
    assert run["verdict"]["terms"][0]["low_s"] >= 0.19


def test_an_interrupt_ends_the_load_tool_and_all_its_workers(tmp_path):
    with slow_server(*DELAYS) as url:
        command = command_of(url, tmp_path, "--concurrency", "2", "--requests", "5000")
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            log = tmp_path / "out" / "run" / "aiperf.out"
            until = time.monotonic() + 300  # AIPerf starts slowly on busy cores
            while not (log.is_file() and "profiling) started" in log.read_text()):
                assert time.monotonic() < until
                time.sleep(0.5)
            workers = descendants(process.pid)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "interrupted"
    assert len(workers) > 1
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for child in children for each in (int(child), *descendants(int(child)))]
