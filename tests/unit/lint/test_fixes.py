"""What --fix writes mends the finding, adds none, and leaves every other line as it was."""

import difflib
from pathlib import Path

import pytest
import yaml

from shardwright.lint.edits import apply_fixes

GOLDEN = Path(__file__).parents[2] / "golden" / "lint"
FIXED = {
    "shm-missing",
    "not-ready-addresses-hidden",
    "ordered-ready",
    "leader-ready",
    "rolling-update-cannot-fit",
    "host-network-dns",
    "argument-holds-two-words",
    "not-a-string",
    "service-sets-vllm-port",
}
VARIANTS = [
    variant
    for variant in yaml.safe_load((GOLDEN / "variants.yaml").read_text())
    if variant["code"] in FIXED
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v['base']}-{v['code']}")
def test_a_fix_mends_its_finding_and_nothing_else(linted, variant):
    text = (GOLDEN / "good" / f"{variant['base']}.yaml").read_text()
    for change in variant["changes"]:
        text = text.replace(change["old"], change["new"])
    before = linted(text)
    fixed, applied = apply_fixes(before.text, [f.fix for f in before.findings if f.fix])
    assert applied
    after = linted(fixed)
    assert variant["code"] not in after.codes
    assert after.codes <= before.codes
    changed = [
        row
        for row in difflib.ndiff(before.text.splitlines(), fixed.splitlines())
        if row.startswith("- ")
    ]
    assert len(changed) <= len(applied)  # a replaced scalar; insertions take no line away


def test_a_renamed_flag_keeps_its_value(linted):
    text = (GOLDEN / "good" / "deployment.yaml").read_text()
    text = text.replace("--max-num-seqs=64", "--cuda-graph-sizes=64  # why not")
    found = linted(text)
    fixed, _ = apply_fixes(found.text, [found.one("flag-removed").fix])
    assert "            - --cudagraph-capture-sizes=64  # why not\n" in fixed


def test_flow_style_is_left_alone(linted):
    text = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: a}
        spec: {template: {spec: {containers: [{name: c, image: vllm/vllm-openai:v0.33.0,
          args: [m, -tp, '2'], resources: {limits: {nvidia.com/gpu: 2}}}]}}}
    """
    assert linted(text).one("shm-missing").fix is None
