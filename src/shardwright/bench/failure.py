"""A load of which nothing came: what the endpoint answered instead, in words.

A load tool says that every request failed; why is in its single records.
"""

from __future__ import annotations

import json
from collections import Counter

from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.verify.words import answer_words

EVERY_REQUEST_FAILED = "every-request-failed"
SHOWN = 3


def all_failed(records: str | None) -> ShardwrightError | None:
    """Tell the answers of a run without one good request; None if there was one, or no record."""
    answers: Counter[str] = Counter()
    for line in (records or "").splitlines():
        try:
            error = json.loads(line).get("error")
        except (ValueError, AttributeError):
            continue
        if not error:
            return None
        words = answer_words(str(error.get("message") or error.get("type") or "no answer"))
        answers[f"{error['code']}: {words}" if error.get("code") else words] += 1
    if not answers:
        return None
    return ShardwrightError(
        code=EVERY_REQUEST_FAILED,
        what=f"each of {answers.total()} requests failed; the endpoint answered",
        details=tuple(f"{text} ({count} times)" for text, count in answers.most_common(SHOWN)),
        remedy="mend what the answers name, then try again",
        exit_code=ExitCode.FAILURE,
    )


def is_model_unknown(answers: tuple[str, ...], model: str) -> bool:
    """Tell whether the endpoint said that it does not serve a model. Source: vLLM 0.32.0's 404.

    >>> is_model_unknown(("404: The model `a/b` does not exist.",), "a/b")
    True
    """
    return any(model in text and "does not exist" in text for text in answers)


def is_about_model(error: ShardwrightError, model: str) -> bool:
    """Tell whether a load failed as a whole because its model is not served."""
    return error.code == EVERY_REQUEST_FAILED and is_model_unknown(error.details, model)


def model_not_served(model: str, served: tuple[str, ...]) -> ShardwrightError:
    """Say what is asked for and what is there."""
    names = ", ".join(served) or "nothing that it names"
    return ShardwrightError(
        code="model-not-served",
        what=f"the endpoint does not serve {model}; it serves {names}",
        cause="it was started again with another model, or under another --served-model-name",
        remedy="bench it again: the name is asked at the start; or deploy the model that is meant",
        exit_code=ExitCode.FAILURE,
    )
