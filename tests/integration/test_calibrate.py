"""From records to plans that use them, over the command line: real measurements of one H200."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "calibration" / "measurements" / "h200_latency.csv"
SPEC = """
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {name: llama-8b}
spec:
  model: {id: meta-llama/Llama-3.1-8B-Instruct}
  cluster: {gpu: GPU, gpusPerNode: 8, nodes: 1}
  workload: {inputTokens: 1024, outputTokens: 256, concurrency: 16}
"""


@pytest.fixture
def call(tmp_path):
    def run(*words):
        env = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
        command = [sys.executable, "-m", "shardwright", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)

    return run


def records():
    """Ten loads of Llama 3.1 8B on one GPU, as `bench` keeps records."""
    with MEASURED.open() as file:
        rows = [r for r in csv.DictReader(file) if "8B" in r["model"] and r["tp"] == "1"]
    for row in rows[1::2][:10]:
        yield {
            "id": row["id"], "date": "2026-11-23", "model": row["model"], "dtype": "bf16",
            "gpu": "H200-SXM", "engine": "vllm", "engine_version": row["vllm_version"],
            "tp": 1, "pp": 1, "isl": int(row["isl"]), "osl": int(row["osl"]),
            "concurrency": int(row["concurrency"]), "window": "service",
            "ttft_ms": float(row["ttft_ms_mean"]), "tpot_ms": float(row["tpot_ms_mean"]),
            "output_tokens_s_total": float(row["output_tokens_s"]),
            "requests": int(row["requests"]), "source": "in process, without HTTP",
        }  # fmt: skip


def errors_of(call):
    done = call("accuracy", "-o", "json")
    assert done.returncode == 0, done.stderr
    return {row["column"]: row for row in json.loads(done.stdout)["rows"]}


def test_plans_and_accuracy_use_what_was_fitted_to_the_users_records(call, tmp_path):
    assert call("calibrate").returncode == 2  # nothing measured yet
    kept = tmp_path / "shardwright" / "measurements" / "records.jsonl"
    kept.parent.mkdir(parents=True)
    rows = list(records())
    kept.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(rows) == 10
    before = errors_of(call)
    fitted = call("calibrate", "-o", "json")
    assert fitted.returncode == 0, fitted.stderr
    [outcome] = json.loads(fitted.stdout)["outcomes"]
    assert (outcome["gpu"], outcome["num_points"], outcome["grouped_by"]) == (
        "H200-SXM", 10, "loads",
    )  # fmt: skip
    # these were measured in process: the way in, which HTTP would take, is all but gone
    factors = dict(outcome["factors"])
    assert min(factors, key=factors.get) == "way in"
    after = errors_of(call)
    assert after["ttft_ms"]["mean_abs"] < before["ttft_ms"]["mean_abs"] / 2
    assert after["ttft_ms"]["mean_abs"] == pytest.approx(outcome["after"][0], abs=0.002)
    shipped = call("accuracy", "--no-local-calibration", "-o", "json")
    assert json.loads(shipped.stdout)["rows"][0]["mean_abs"] == before["ttft_ms"]["mean_abs"]
    assert shipped.stderr == ""
    assert "H200-SXM, vllm: calibrated on 10 points of yours" in call("accuracy").stderr
    for gpu, words in (("H200-SXM", 1), ("H100-SXM", 0)):
        spec = tmp_path / f"{gpu}.yaml"
        spec.write_text(SPEC.replace("GPU,", f"{gpu},"))
        said = call("plan", spec).stdout
        assert said.count("speed calibrated on 10 points of yours") == words
    assert call("calibrate", "--forget").returncode == 0
    assert "points of yours" not in call("plan", tmp_path / "H200-SXM.yaml").stdout
    assert errors_of(call)["ttft_ms"]["mean_abs"] == before["ttft_ms"]["mean_abs"]


def test_records_of_another_machine_than_they_say_are_refused_and_change_no_plan(call, tmp_path):
    kept = tmp_path / "shardwright" / "measurements" / "records.jsonl"
    kept.parent.mkdir(parents=True)
    kept.write_text((ROOT / "tests" / "data" / "bench" / "records-cpu.jsonl").read_text())
    done = call("calibrate", "-o", "json")
    assert done.returncode == 1, done.stderr
    [outcome] = json.loads(done.stdout)["outcomes"]
    assert (outcome["num_points"], outcome["fit"]) == (8, None)
    assert "are these rows of H100-SXM?" in outcome["reason"]
    # two cores take several times as long to a first token as an H100
    found = errors_of(call)
    assert found["ttft_ms"]["num_rows"] == found["tpot_ms"]["num_rows"] == 8
    assert found["ttft_ms"]["bias"] < -0.6
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("GPU,", "H100-SXM,"))
    assert "points of yours" not in call("plan", spec).stdout
