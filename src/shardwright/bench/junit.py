"""A verdict as JUnit XML, one test case per term, for pipelines that show such files."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from shardwright.bench.compare import Change
from shardwright.verify.verdict import Outcome, Term, Verdict


def junit(name: str, verdict: Verdict, changes: tuple[Change, ...] = ()) -> str:
    """Write one suite: terms with an objective, failed requests, goodput, any comparison; and the
    verdict itself where it cannot tell.
    """
    suite = Xml.Element("testsuite", name=f"shardwright bench {name}")
    for term in verdict.terms:
        if term.objective_s is not None:
            _case(suite, f"{term.name} p{term.percentile:g}", term.outcome, _message(term))
    errors = (
        Outcome.FAIL if verdict.outcome is Outcome.FAIL and verdict.error_rate else Outcome.PASS
    )
    _case(suite, "failed requests", errors, f"{verdict.error_rate:.2%}")
    if verdict.goodput_outcome is not None and verdict.goodput_share is not None:
        _case(suite, "goodput", verdict.goodput_outcome, f"{verdict.goodput_share:.2%}")
    if verdict.outcome is Outcome.INCONCLUSIVE:  # a client that was the limit is of no term
        _case(suite, "verdict", verdict.outcome, "; ".join(verdict.reasons))
    for change in changes:
        outcome = Outcome.FAIL if change.is_regression else Outcome.PASS
        _case(suite, change.name, outcome, f"{change.before:g} -> {change.after:g}")
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(c.find("failure") is not None for c in cases)))
    suite.set("skipped", str(sum(c.find("skipped") is not None for c in cases)))
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: Xml.Element, name: str, outcome: Outcome | None, message: str) -> None:
    case = Xml.SubElement(suite, "testcase", classname=str(suite.get("name")), name=name)
    if outcome is Outcome.FAIL:
        Xml.SubElement(case, "failure", message=message)
    elif outcome is Outcome.INCONCLUSIVE:
        Xml.SubElement(case, "skipped", message=f"inconclusive: {message}")


def _message(term: Term) -> str:
    if term.measured_s is None or term.objective_s is None:
        return term.reason
    text = f"{term.measured_s * 1e3:.1f} ms, objective {term.objective_s * 1e3:.1f} ms"
    return f"{text}; {term.reason}" if term.reason else text
