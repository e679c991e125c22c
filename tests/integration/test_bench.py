"""`bench` with the real AIPerf against a server whose delays are set. Needs AIPerf installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shardwright.rehearse.tokenizer import files

HERE = Path(__file__).parent
ENGINES = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shardwright" / "engines"
)

pytestmark = pytest.mark.skipif(
    not (os.environ.get("SHARDWRIGHT_AIPERF") or list(ENGINES.glob("aiperf-*/installed.json"))),
    reason="AIPerf is not installed: shardwright engines install aiperf",
)


@pytest.fixture
def slow_server():
    """100 ms to the first token, 20 ms between tokens, two requests at a time."""
    command = [sys.executable, HERE / "slow_server.py", "0", "--ttft", "0.1", "--itl", "0.02"]
    with subprocess.Popen([*command, "--slots", "2"], stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().split()[-1]}"
        server.terminate()


def bench(url, tmp_path, *options):
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir(exist_ok=True)
    for name, content in files(4096).items():
        (tokenizer / name).write_text(json.dumps(content))
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "shardwright", "bench", url, "--tokenizer", tokenizer, "--out", out,
        "--no-record", "--input-tokens", "32", "--output-tokens", "6", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (out / "result.json").is_file(), done.stderr
    return done.returncode, json.loads((out / "result.json").read_text()), out


def test_a_queue_in_front_of_two_places_is_measured_judged_and_explained(slow_server, tmp_path):
    # four requests for two places: each waits for another of 0.1 + 5 x 0.02 = 0.2 s, so no first
    # token can come before 0.1 s, and half of them come after 0.3 s and more
    code, result, out = bench(slow_server, tmp_path, "--concurrency", "4", "--ttft-ms", "150")
    run = result["runs"][0]
    ttft = run["verdict"]["terms"][0]
    assert ttft["measured_s"] >= 0.25
    assert code == (1 if result["outcome"] == "fail" else 4)  # 4: this machine was too busy to send
    assert run["server"]["queue_max"] >= 1
    assert run["measured"]["window"]["num_left_out"] > 0
    page = (out / "report.html").read_text()
    assert "requests waited in the engine" in page
    assert 'src="http' not in page
