"""AIPerf as a process: what a waiting user is told, with a script in its place."""

import json
import sys

from shardwright.bench.aiperf import RECORDS, SUMMARY, Target
from shardwright.bench.scenario import Scenario
from shardwright.drive import aiperf
from shardwright.drive.aiperf import AiperfProcess

SCRIPT = """#!{python}
import json, pathlib, sys, time
config = json.loads(pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
place = pathlib.Path(config["benchmark"]["artifacts"]["dir"])
phases = ["warmup", "profiling", "profiling", "profiling"]
with (place / "{records}").open("w") as file:
    for phase in phases:
        file.write(json.dumps({{"metadata": {{"benchmark_phase": phase}}}}) + "\\n")
while not (place / "seen").exists():
    time.sleep(0.01)
(place / "{summary}").write_text("{{}}")
"""
SCENARIO = Scenario(
    concurrency=1, requests_per_s=None, input_tokens=8, output_tokens=8, prefix_tokens=0,
    num_requests=9, num_warmup=1,
)  # fmt: skip


def test_a_user_who_waits_is_told_how_many_requests_are_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(aiperf, "SAYS_EACH_S", 0.05)
    script = tmp_path / "aiperf"
    script.write_text(SCRIPT.format(python=sys.executable, records=RECORDS, summary=SUMMARY))
    script.chmod(0o755)
    said, shown = [], []

    def show(line):
        shown.append(line)
        if "answered" in line:
            (tmp_path / "run" / "seen").touch()

    tool = AiperfProcess(
        executable=script, folder=tmp_path, api_key=None, say=said.append, show=show
    )
    target = Target(url="http://h", model="m", tokenizer="m")
    assert tool.run(SCENARIO, target, "run").summary == json.dumps({})
    assert said == ["run: 9 requests at concurrency 1"]
    assert "  3 of 9 requests answered" in shown
    assert shown[-1] == ""  # which clears the line on a terminal
