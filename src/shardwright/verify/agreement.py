"""Whether a distributed engine computes what a single process computes from the same weights.

Every token the distributed engine chose greedily is scored again by one process, given the same
tokens before it, so one early difference cannot spoil the rest. In low precision two tokens may be
as good as tied; then the choice may differ, and only the log probabilities can be held together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TOLERANCE = 0.25
"""Largest accepted difference of a log probability, nats. Small models in bfloat16, TP=2 PP=2
against one process, differ by up to 0.15 (docs/coverage.md): sums over split ranks round in another
order. A wrong split is off by whole nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A token chosen greedily, and its log probability by the engine that chose it."""

    token: int
    logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The reference at the same position: its log probability of the token, and its best."""

    logprob: float
    best_token: int
    best_logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What the comparison found. Log probabilities in nats.

    num_ties: positions where the reference prefers another token by no more than the tolerance.
    margin: by how much the chosen tokens beat chance on average; a comparison whose margin is not
    far above the tolerance could not have told two models apart.
    """

    num_prompts: int
    num_tokens: int
    num_ties: int
    max_difference: float
    tolerance: float
    margin: float
    disagreements: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs by more than the tolerance."""
        return not self.disagreements and self.num_tokens > 0

    @property
    def is_telling(self) -> bool:
        """Whether the comparison could have failed: an unrelated model would be far off."""
        return self.margin > 4 * self.tolerance


def compare(
    chosen: tuple[tuple[Chosen, ...], ...],
    scored: tuple[tuple[Scored, ...], ...],
    *,
    vocab_size: int,
    tolerance: float = TOLERANCE,
) -> Agreement:
    """Hold the choices of one engine against the scores of another, prompt by prompt.

    >>> one = ((Chosen(token=3, logprob=-1.0),),)
    >>> same = ((Scored(logprob=-1.01, best_token=3, best_logprob=-1.01),),)
    >>> compare(one, same, vocab_size=100).agrees
    True
    """
    disagreements: list[str] = []
    ties = total = 0
    largest = gained = 0.0
    for prompt, (mine, theirs) in enumerate(zip(chosen, scored, strict=True)):
        for position, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            total += 1
            difference = abs(a.logprob - b.logprob)
            largest = max(largest, difference)
            gained += a.logprob + math.log(vocab_size)
            gap = b.best_logprob - b.logprob
            where = f"prompt {prompt}, token {position}"
            if not difference <= tolerance:  # also true of NaN
                disagreements.append(
                    f"{where}: log probability {a.logprob:.3f}, reference {b.logprob:.3f}"
                )
            elif b.best_token != a.token:
                if gap > tolerance:
                    disagreements.append(
                        f"{where}: chose {a.token}, the reference prefers {b.best_token} "
                        f"by {gap:.3f}"
                    )
                else:
                    ties += 1
    return Agreement(
        num_prompts=len(chosen),
        num_tokens=total,
        num_ties=ties,
        max_difference=largest,
        tolerance=tolerance,
        margin=gained / total if total else 0.0,
        disagreements=tuple(disagreements),
    )
