"""`calibrate` and what plans then say; the records that `bench` keeps are its input."""

import json

import pytest
from click.testing import CliRunner

from shardwright.cli.main import shardwright
from shardwright.drive.local_fits import write_fits
from shardwright.planner.coefficients import LocalFit, using

SPEC = """
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {name: llama-8b}
spec:
  model: {id: meta-llama/Llama-3.1-8B-Instruct}
  cluster: {gpu: H100-SXM, gpusPerNode: 8, nodes: 1}
  workload: {inputTokens: 1024, outputTokens: 256, concurrency: 16}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "spec.yaml").write_text(SPEC)
    with using(()):
        yield tmp_path


def run(*argv):
    return CliRunner().invoke(shardwright, [str(w) for w in argv], standalone_mode=False)


def test_a_plan_says_that_it_rests_on_the_users_points_and_can_be_told_not_to(home):
    write_fits(
        (LocalFit(gpu="H100-SXM", engine="vllm", factors=(("layer_s", 1.5),), num_points=12,
                  date="2026-11-26"),)
    )  # fmt: skip
    plan = run("plan", home / "spec.yaml").stdout
    assert "speed calibrated on 12 points of yours, 2026-11-26" in plan
    with using(()):
        shipped = run("plan", home / "spec.yaml", "--no-local-calibration").stdout
    assert "of yours" not in shipped


def test_nothing_measured_is_a_users_error(home):
    assert run("calibrate").exception.code == "nothing-measured"
    assert run("accuracy").exception.code == "nothing-measured"


HEAD = "id,model,gpu,engine,tp,isl,osl,concurrency,ttft_ms,tpot_ms"


def test_columns_of_other_names_are_guessed(home):
    table = home / "rows.csv"
    table.write_text(f"{HEAD}_mean\n".replace("ttft_ms", "TTFT_ms_mean").replace("osl,", ""))
    error = run("calibrate", table).exception
    assert error.what == f"{table} has no column osl, ttft_ms, tpot_ms"
    assert error.remedy == (
        "rename TTFT_ms_mean to ttft_ms, tpot_ms_mean to tpot_ms, if that is it"
    )
    table.write_text("a,b\n")
    assert run("calibrate", table).exception.remedy == (
        "the first line must name the columns; it says: a, b"
    )


def test_one_row_is_too_few_and_its_error_is_said(home):
    table = home / "rows.csv"
    table.write_text(f"{HEAD}\na,meta-llama/Llama-3.1-8B,H100-SXM,vllm,1,1024,128,16,42,9.7\n")
    result = run("calibrate", table)
    assert result.return_value == 1
    assert result.stdout.startswith("H100-SXM, vllm: 1 row of 1 load\n")
    assert "refused: too few; measure 6 loads at least, 3 of them different" in result.stdout


def test_rows_of_which_none_can_be_used_are_a_users_error_with_the_reasons(home):
    table = home / "rows.csv"
    table.write_text(f"{HEAD}\na,meta-llama/Llama-3.1-8B,H100-SXM,vllm,1,1024,128,16,,9.7\n")
    result = run("calibrate", table)
    assert result.exception.code == "nothing-to-fit"
    assert "left out: a: " in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("calibrate", "ROWS", "--export", "NOWHERE"),
        ("predict", "latency", "ROWS", "--out", "NOWHERE"),
        ("bench", "http://127.0.0.1:1", "--junit", "NOWHERE"),
    ],
    ids=lambda words: words[0],
)
def test_a_file_that_cannot_be_written_is_a_users_error(home, command, monkeypatch):
    monkeypatch.chdir(home)
    (home / "rows.csv").write_text("id,model,gpu\na,meta-llama/Llama-3.1-8B,H100-SXM\n")
    names = {"ROWS": home / "rows.csv", "NOWHERE": home / "no" / "such" / "file"}
    result = run(*(names.get(word, word) for word in command))
    assert result.exception.code == "file-not-writable"


def test_records_of_benches_are_read_and_exported(home):
    records = home / "shardwright" / "measurements" / "records.jsonl"
    records.parent.mkdir(parents=True)
    row = {"id": "a", "model": "meta-llama/Llama-3.1-8B", "gpu": "H100-SXM", "engine": "vllm",
           "tp": 1, "isl": 512, "osl": 64, "concurrency": 4, "ttft_ms": 30.0, "tpot_ms": 7.0,
           "quantization": None}  # fmt: skip
    records.write_text(json.dumps(row) + "\n" + '{"cut short')
    result = run("calibrate", "-o", "json")
    assert result.return_value == 1  # refused
    outcome = json.loads(result.stdout)["outcomes"][0]
    assert outcome["num_points"] == 1
    assert "too few" in outcome["reason"]
    assert run("calibrate", "--export", home / "out.csv").return_value == 0
    assert (home / "out.csv").read_text().splitlines()[1].startswith("a,,meta-llama/Llama-3.1-8B,")
    assert "ttft_ms" in run("accuracy").stdout
