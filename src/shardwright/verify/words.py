"""A verdict in words for a terminal."""

from __future__ import annotations

import json
import re

from shardwright.model.measured import Measured
from shardwright.verify.verdict import Outcome, Term, Verdict

_CLIENT_ERROR = re.compile(
    r"""Client\w+\(ConnectionKey\(.*\), (\w+)\((?:-?\d+, )?["']?(.*?)["']?\)\)"""
)
"""The representation of an aiohttp error, which AIPerf gives as the message. Source: aiohttp 3."""
_NAMES = {"ttft": "time to first token", "itl": "time between tokens"}
_MARKS = {Outcome.PASS: "ok  ", Outcome.FAIL: "MISS", Outcome.INCONCLUSIVE: "?   ", None: "    "}


def verdict_text(measured: Measured, verdict: Verdict) -> str:
    """Write the answer first, then each term with its bounds, then what was noticed."""
    tool = f"{measured.tool} {measured.tool_version or ''}".strip()
    out = [f"verdict: {verdict.outcome.value.upper()}"]
    out += [f"  {reason}" for reason in verdict.reasons]
    out.append("")
    for term in verdict.terms:
        out.append(_term(term))
    out.append(_requests(measured, verdict))
    if verdict.goodput_share is not None and any(t.objective_s for t in verdict.terms):
        out.append(
            f"  goodput              {verdict.goodput_share:.1%} of requests met every objective"
            + (f", {verdict.goodput_per_s:.2f}/s" if verdict.goodput_per_s else "")
            + _goodput_objective(verdict)
        )
    if verdict.output_tokens_per_s is not None:
        per_gpu = verdict.output_tokens_per_s_per_gpu
        out.append(
            f"  output               {verdict.output_tokens_per_s:.1f} tokens/s"
            + (f", {per_gpu:.1f} per GPU" if per_gpu is not None else "")
        )
    if verdict.usd_per_million_output_tokens is not None:
        cost = verdict.usd_per_million_output_tokens
        out.append(f"  cost                 {cost:.2f} USD per million output tokens")
    for message in measured.errors[:3]:
        out.append(f"  error seen: {message}")
    for finding in verdict.findings:
        if finding.what not in verdict.reasons:  # which stand at the top
            out.append(f"  {finding.severity.value}: {finding.what}")
            out += [f"      {finding.remedy}"] if finding.remedy else []
        elif finding.remedy:
            out.append(f"  remedy: {finding.remedy}")
    over = f" over {measured.duration_s:.1f} s" if measured.duration_s else ""
    out.append(f"  measured by {tool}{over}, {_load(measured)}")
    return "\n".join(out) + "\n"


def _requests(measured: Measured, verdict: Verdict) -> str:
    if not measured.is_counted:
        return "  requests             not told"
    left_out = measured.window.num_left_out if measured.window else 0
    total = measured.num_completed + measured.num_failed + left_out
    line = (
        f"  requests             {total}, {measured.num_failed} failed ({verdict.error_rate:.1%})"
    )
    return line + (f"; {measured.num_completed} of the steady state count" if left_out else "")


def answer_words(message: str) -> str:
    """Take the sentence out of an error that an OpenAI endpoint answered with.

    >>> answer_words('{"error": {"message": "The model `x` does not exist.", "code": 404}}')
    'The model `x` does not exist.'
    >>> answer_words("Connection refused")
    'Connection refused'
    >>> answer_words('ClientConnectorError(ConnectionKey(host=1), OSError(111, "Connect failed"))')
    'OSError: Connect failed'
    """
    if found := _CLIENT_ERROR.match(message):
        return f"{found[1]}: {found[2]}"
    try:
        answer = json.loads(message)
    except ValueError:
        return message
    inner = answer.get("error", answer) if isinstance(answer, dict) else answer
    words = inner.get("message") if isinstance(inner, dict) else inner
    return words if isinstance(words, str) else message


def _load(measured: Measured) -> str:
    if measured.concurrency:
        return f"concurrency {measured.concurrency}"
    if measured.requests_per_s:
        return f"{measured.requests_per_s:g} requests/s"
    return "load not recorded"


def _term(term: Term) -> str:
    if term.measured_s is None:
        return f"  {_NAMES[term.name]:<20} not measured"
    text = f"  {_NAMES[term.name]:<20} p{term.percentile:g} {_ms(term.measured_s)}"
    if term.low_s is not None and term.high_s is not None:
        text += f" ({_ms(term.low_s)} to {_ms(term.high_s)})"
    elif term.low_s is not None and term.outcome is Outcome.FAIL:
        text += f" (at least {_ms(term.low_s)})"
    if term.objective_s is not None:
        text += f"  {_MARKS[term.outcome]} objective {_ms(term.objective_s)}"
    error = term.prediction_error
    if term.predicted_s is not None and error is not None:
        text += f"  predicted {_ms(term.predicted_s)} ({error:+.0%})"
    return text.rstrip()


def _goodput_objective(verdict: Verdict) -> str:
    """The share that was asked for and whether it is reached; empty where none was."""
    if verdict.goodput_objective is None:
        return ""
    return f"  {_MARKS[verdict.goodput_outcome]} objective {verdict.goodput_objective * 100:.4g}%"


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.1f} ms"
