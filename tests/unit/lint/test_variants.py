"""Good manifests say nothing; one fault each, and exactly that fault is named."""

from pathlib import Path

import pytest
import yaml

from shardwright.lint.table import RULES

GOLDEN = Path(__file__).parents[2] / "golden" / "lint"
VARIANTS = yaml.safe_load((GOLDEN / "variants.yaml").read_text())


@pytest.mark.parametrize("path", sorted((GOLDEN / "good").glob("*.yaml")), ids=lambda p: p.stem)
def test_good_manifests_say_nothing(linted, path):
    assert linted(path.read_text()).codes == set()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v['base']}-{v['code']}")
def test_one_fault_is_named_and_nothing_else(linted, variant):
    text = (GOLDEN / "good" / f"{variant['base']}.yaml").read_text()
    for change in variant["changes"]:
        assert change["old"] in text, change["old"]
        text = text.replace(change["old"], change["new"])
    found = linted(text)
    assert found.codes == {variant["code"], *variant.get("also", ())}
    of_code = {f.severity.value for f in found.findings if f.code == variant["code"]}
    assert of_code == {variant["severity"]}
    assert all(f.line for f in found.findings)
    assert all(f.what and f.why and f.remedy for f in found.findings)


def test_every_rule_has_a_fault_here():
    assert {rule.code for rule in RULES} == {variant["code"] for variant in VARIANTS}
