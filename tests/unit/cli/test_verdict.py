"""`verdict` on recorded results: the same answer as a bench of the very same requests."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from shardwright.bench.aiperf import Target
from shardwright.bench.run import Method, ResultFiles, measure
from shardwright.bench.scenario import Scenario
from shardwright.cli.main import shardwright
from shardwright.model.errors import ShardwrightError
from shardwright.model.request import Slo
from shardwright.verify.verdict import judge

DATA = Path(__file__).parents[2] / "data" / "bench"
SLOW = DATA / "aiperf-0.13.0-slow"
SLO = Slo(ttft_s=0.125, itl_s=0.02, percentile=50.0)


def run(*argv):
    return CliRunner().invoke(
        shardwright, ["verdict", *(str(w) for w in argv)], standalone_mode=False
    )


def verdict(*argv):
    options = ("--ttft-ms", 125, "--itl-ms", 20, "--percentile", 50, "-o", "json")
    done = run(*argv, *options)
    assert done.exception is None
    return json.loads(done.stdout)


class Recorded:
    """A load tool that answers with recorded files."""

    def run(self, scenario, target, name):
        files = [SLOW / "profile_export_aiperf.json", SLOW / "profile_export.jsonl"]
        return ResultFiles(folder=name, summary=files[0].read_text(), records=files[1].read_text())


@pytest.mark.parametrize("num_runs", [1, 2])
def test_the_same_records_have_the_same_verdict_as_in_a_bench(tmp_path, num_runs):
    scenario = Scenario(
        concurrency=4, requests_per_s=None, input_tokens=32, output_tokens=8, prefix_tokens=0,
        num_requests=40, num_warmup=4,
    )  # fmt: skip
    method = Method(
        judge=lambda _, runs: judge(runs, SLO), percentile=SLO.percentile, num_runs=num_runs
    )
    target = Target(url="http://h", model="m", tokenizer="/t")
    bench = measure(Recorded(), scenario, target, "run", method)
    for number in range(num_runs):
        shutil.copytree(SLOW, tmp_path / str(number + 1))
    found = verdict(tmp_path if num_runs > 1 else SLOW)
    assert bench.measured.window.num_left_out > 0
    assert found["measured"]["window"]["num_left_out"] == bench.measured.window.num_left_out
    assert found["verdict"]["outcome"] == bench.verdict.outcome.value
    assert found["verdict"]["output_tokens_per_s"] == bench.verdict.output_tokens_per_s
    assert [t["high_s"] for t in found["verdict"]["terms"]] == [
        t.high_s for t in bench.verdict.terms
    ]


def test_only_runs_of_one_load_are_judged_together():
    done = run(SLOW, DATA / "aiperf-0.13.0-rate")
    assert isinstance(done.exception, ShardwrightError)
    assert done.exception.code == "loads-differ"


def test_a_folder_without_a_result_is_said(tmp_path):
    done = run(tmp_path)
    assert done.exception.code == "result-not-in-folder"
    (tmp_path / "1").mkdir()
    assert run(tmp_path).exception.code == "result-not-in-folder"


def test_the_text_says_how_many_requests_count():
    text = run(SLOW, "--percentile", 50).stdout
    # of 40 requests the first burst of 4 and what was answered with it are left out
    assert "requests             40, 0 failed (0.0%); " in text
    assert "of the steady state count" in text


def test_a_pass_without_an_objective_says_how_little_it_means():
    done = run(SLOW)
    assert done.return_value == 0
    assert "no objective was given" in done.stdout.splitlines()[1]
    assert "no objective" not in run(SLOW, "--ttft-ms", 500, "--percentile", 50).stdout
