"""Tokens compared by log probability; every expected value is plain arithmetic."""

import math

import pytest

from shardwright.verify.agreement import Chosen, Scored, compare


def judged(chosen_logprob, reference_logprob, best=(5, None), vocab=math.e**3, tolerance=0.1):
    best_token, best_logprob = best
    chosen = ((Chosen(token=5, logprob=chosen_logprob),),)
    scored = Scored(
        logprob=reference_logprob,
        best_token=best_token,
        best_logprob=reference_logprob if best_logprob is None else best_logprob,
    )
    return compare(chosen, ((scored,),), vocab_size=vocab, tolerance=tolerance)


def test_the_same_choice_within_tolerance_agrees():
    found = judged(-1.0, -1.09)
    assert found.agrees
    assert found.num_ties == 0
    assert found.max_difference == pytest.approx(0.09)
    # chance is -3 nats over e^3 tokens, so the choice is 2 nats better
    assert found.margin == pytest.approx(2.0)
    assert found.is_telling


def test_a_difference_beyond_tolerance_is_named_with_both_numbers():
    found = judged(-1.0, -1.2)
    assert not found.agrees
    assert found.disagreements == ("prompt 0, token 0: log probability -1.000, reference -1.200",)


def test_another_best_token_within_tolerance_is_a_tie_not_a_fault():
    found = judged(-1.0, -1.05, best=(6, -1.0))
    assert found.agrees
    assert found.num_ties == 1


def test_another_best_token_beyond_tolerance_is_a_fault():
    found = judged(-1.0, -1.05, best=(6, -0.9))
    assert found.disagreements == (
        "prompt 0, token 0: chose 5, the reference prefers 6 by 0.150",
    )  # fmt: skip


def test_nan_never_agrees():
    assert not judged(math.nan, -1.0).agrees
    assert not judged(-1.0, math.nan).agrees


def test_nothing_compared_is_no_agreement():
    assert not compare((), (), vocab_size=10).agrees


def test_choices_no_better_than_chance_tell_nothing():
    assert not judged(-3.0, -3.0).is_telling
