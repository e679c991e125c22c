"""The batch commands as a user runs them."""

import csv
import json

from click.testing import CliRunner

from shardwright.cli.main import shardwright

POINTS = (
    "id,model,gpu,kv_tokens,engine_version\na,Qwen/Qwen3-8B,H100,400000,0.19.0\nb,no/such,H100,1,\n"
)


def run(*args):
    return CliRunner().invoke(shardwright, args)


def test_predict_memory_writes_a_table(tmp_path):
    (tmp_path / "in.csv").write_text(POINTS)
    out = tmp_path / "out.csv"
    done = run("predict", "memory", str(tmp_path / "in.csv"), "--out", str(out))
    assert done.exit_code == 0
    first, second = csv.DictReader(out.read_text().splitlines())
    assert float(first["weights_gib"]) > 15
    assert second["weights_gib"] == ""
    assert "unknown-model" in second["note"]


def test_predict_memory_as_json_goes_to_stdout(tmp_path):
    (tmp_path / "in.csv").write_text(POINTS)
    done = run("predict", "memory", str(tmp_path / "in.csv"), "-o", "json")
    assert [row["id"] for row in json.loads(done.stdout)["rows"]] == ["a", "b"]


def test_accuracy_prints_the_error_table(tmp_path):
    (tmp_path / "in.csv").write_text(POINTS)
    done = run("accuracy", str(tmp_path / "in.csv"))
    assert done.exit_code == 0
    assert "kv_tokens" in done.stdout


def test_a_table_without_the_needed_columns_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text("id\n1\n")
    done = run("predict", "memory", str(tmp_path / "in.csv"))
    assert done.exception.code == "column-missing"
    assert "model, gpu" in done.exception.what
    (tmp_path / "in.csv").write_text("id,model,gpu\n1,Qwen/Qwen3-8B,H100\n")
    assert run("accuracy", str(tmp_path / "in.csv")).exception.code == "nothing-to-compare"


def test_sizing_prints_a_table_and_the_same_as_json():
    asked = ("sizing", "--model", "Qwen/Qwen3-8B", "--gpu", "H100", "--weights", "bf16")
    assert "H100-SXM" in run(*asked).stdout
    [row] = json.loads(run(*asked, "-o", "json").stdout)["rows"]
    assert row["layout"]["tensor_parallel"] == 1


def test_a_table_goes_to_its_file_in_the_form_that_was_asked_for(tmp_path):
    (tmp_path / "in.csv").write_text(POINTS)
    out = tmp_path / "out.json"
    done = run("predict", "memory", str(tmp_path / "in.csv"), "-o", "json", "--out", str(out))
    assert done.exit_code == 0
    assert [row["id"] for row in json.loads(out.read_text())["rows"]] == ["a", "b"]


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text(f"model,gpu\n{'x' * 200_000},H100\n")
    assert run("predict", "memory", str(tmp_path / "in.csv")).exception.code == "table-not-readable"


def test_groups_of_a_column_that_is_not_there_are_refused(tmp_path):
    (tmp_path / "in.csv").write_text(POINTS)
    done = run("accuracy", str(tmp_path / "in.csv"), "--by", "gpu,engin")
    assert done.exception.code == "column-missing"
    assert "engin" in done.exception.what


def test_a_file_without_a_header_is_no_table(tmp_path):
    (tmp_path / "in.csv").write_text("")
    assert run("predict", "latency", str(tmp_path / "in.csv")).exception.code == "table-empty"
