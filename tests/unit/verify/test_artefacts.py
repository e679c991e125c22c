"""What is of the way a load was measured: told, so that nobody takes it for the engine."""

from dataclasses import replace

import pytest
from tests.unit.verify.test_verdict import run

from shardwright.model.request import Slo
from shardwright.verify.verdict import Outcome, judge
from shardwright.verify.words import verdict_text


def codes(measured):
    return [finding.code for finding in judge(measured, Slo(ttft_s=0.5)).findings]


def test_answers_in_one_piece_are_said_whatever_the_verdict():
    measured = run([0.1] * 100, itl=0.0)
    assert codes(measured) == ["answers-in-one-piece"]
    verdict = judge(measured, Slo(ttft_s=0.5))
    assert verdict.outcome is Outcome.PASS  # what a user sees comes in time
    text = verdict_text(measured, verdict)
    assert "warning: 100% of the answers came in one piece" in text
    assert "proxy_buffering off" in text


def test_a_few_answers_in_one_piece_or_of_one_token_are_no_pattern():
    measured = run([0.1] * 100)
    samples = tuple(replace(s, itl_s=0.0) if i < 10 else s for i, s in enumerate(measured.samples))
    assert codes(replace(measured, samples=samples)) == []
    single = tuple(replace(s, itl_s=0.0, output_tokens=1) for s in measured.samples)
    assert codes(replace(measured, samples=single)) == []


def test_a_client_that_was_the_limit_is_said_once_with_its_remedy():
    measured = run([0.1] * 100, concurrency=8, effective_concurrency=4.0)
    text = verdict_text(measured, judge(measured, Slo(ttft_s=0.5)))
    assert text.count("only 4.0 of 8 requests were in flight") == 1
    assert "remedy: give the load generator more cores" in text


@pytest.mark.parametrize(("in_flight", "is_client"), [(7.9, True), (8.1, False)])
def test_the_client_was_the_limit_below_four_fifths_of_what_was_asked(in_flight, is_client):
    measured = run([0.1] * 100, concurrency=10, effective_concurrency=in_flight)
    assert ("client-bound" in codes(measured)) is is_client
