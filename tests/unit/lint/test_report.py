import json

from shardwright.lint.objects import SourceFile, load
from shardwright.lint.report import WRITERS, as_json
from shardwright.lint.run import lint
from shardwright.lint.table import RULES

EVIL = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: "a\\e[31m\\u202eb"}
spec:
  template:
    spec:
      containers:
        - name: "c\\e]0;pwn\\a"
          image: vllm/vllm-openai:v0.33.0
          args: ["m", "--no-such-flag\\e[2J", "--tensor-parallel-size", "8"]
          resources: {limits: {nvidia.com/gpu: 8}}
"""


def findings():
    return lint(load((SourceFile(name="evil\x1b.yaml", text=EVIL),)))


def test_no_writer_lets_an_escape_through():
    assert findings()
    for write in WRITERS.values():
        text = write(findings(), RULES)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x07" not in text


def test_json_has_the_documented_keys():
    rows = json.loads(as_json(findings()))["findings"]
    keys = ["code", "severity", "file", "line", "object", "what", "why", "remedy", "fix"]
    assert rows
    assert all(list(row) == keys for row in rows)


def test_broken_yaml_is_a_finding_with_its_line():
    (finding,) = lint(load((SourceFile(name="b.yaml", text="a: 1\n b: 2\n"),)))
    assert (finding.code, finding.file, finding.line) == ("yaml-invalid", "b.yaml", 2)


def test_sarif_names_every_rule_it_uses():
    run = json.loads(WRITERS["sarif"](findings(), RULES))["runs"][0]
    assert {r["ruleId"] for r in run["results"]} == {
        r["id"] for r in run["tool"]["driver"]["rules"]
    }


def test_github_annotations_are_one_line_each():
    rows = WRITERS["github"](findings(), RULES).splitlines()
    assert len(rows) == len(findings())
    assert all(row.startswith(("::error ", "::warning ", "::notice ")) for row in rows)
