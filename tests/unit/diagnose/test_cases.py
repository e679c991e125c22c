"""The shared failure cases: the score may not fall. Their README says what each is worth."""

import json
from pathlib import Path

import pytest

from shardwright.diagnose.doctor import examine
from shardwright.diagnose.evidence import Document

CASES = sorted((Path(__file__).parents[2] / "data" / "failures").glob("*/truth.json"))


@pytest.fixture(scope="module")
def results():
    answers = []
    for path in CASES:
        text = (path.parent / "evidence.txt").read_bytes()
        report = examine([Document(name="evidence.txt", chunks=[text])])
        answers.append((json.loads(path.read_text())["family"], report.findings))
    return answers


def test_right_family_first_in_85_percent(results):
    right = sum(bool(f) and f[0].family == family for family, f in results)
    assert right >= 0.85 * len(results) > 50


def test_right_family_among_three_in_95_percent(results):
    right = sum(family in [x.family for x in f[:3]] for family, f in results)
    assert right >= 0.95 * len(results)


def test_confident_and_wrong_in_at_most_3_percent(results):
    wrong = sum(
        bool(f) and f[0].confidence >= 0.7 and f[0].family != family for family, f in results
    )
    assert wrong <= 0.03 * len(results)
