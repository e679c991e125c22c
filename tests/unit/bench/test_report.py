"""The page, the Markdown, the JUnit file and the curve of a bench."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from tests.unit.bench.known_server import BY_SLO, TARGET, KnownServer, scenario

from shardwright.bench.curve import Curve, Point, draw_curve
from shardwright.bench.junit import junit
from shardwright.bench.page import html
from shardwright.bench.report import Bench, markdown
from shardwright.bench.run import measure, sweep
from shardwright.model.request import Slo
from shardwright.verify.verdict import Outcome, judge


class Clock:
    """Time that passes by so much with each look."""

    def __init__(self, step_s=0.0):
        self.at, self.step_s = -step_s, step_s

    def now(self):
        self.at += self.step_s
        return self.at

    def sleep(self, duration_s):
        raise AssertionError("nothing waits here")


def bench():
    found = sweep(KnownServer(), scenario(), TARGET, BY_SLO, Clock())
    return Bench(
        name="demo <1>", runs=found.runs, outcome=Outcome.PASS, is_sweep=True, best=found.best
    )


def test_the_page_is_self_contained_and_escaped():
    page = html(bench())
    assert "demo &lt;1&gt;" in page
    assert "src=" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http://127", "")
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg" class="sw-curve"') == 2
    assert page.count('class="sw-picture"') == 2  # TTFT and ITL over requests


def test_markdown_has_a_row_per_run():
    text = markdown(bench())
    assert text.count("| concurrency ") == len(bench().runs)
    assert f"**{bench().best}**" in text


def test_junit_counts():
    run = measure(KnownServer(), scenario(100), TARGET, "a", BY_SLO)
    suite = ElementTree.fromstring(junit("demo", run.verdict))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")  # itl, failed requests


def test_junit_has_a_skipped_case_for_a_verdict_that_is_of_no_single_term():
    run = measure(KnownServer(), scenario(10), TARGET, "a", BY_SLO)
    starved = replace(run.measured, concurrency=5, effective_concurrency=2.0)
    verdict = judge(starved, Slo(itl_s=0.05, goodput=0.9))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    cases = {c.get("name"): c for c in ElementTree.fromstring(junit("demo", verdict))}
    assert list(cases) == ["itl p95", "failed requests", "goodput", "verdict"]
    assert [n for n, c in cases.items() if len(c)] == ["verdict"]
    assert "only 2.0 of 5" in cases["verdict"][0].get("message")


def test_curve_places_points_to_scale():
    points = (
        Point(concurrency=1, tokens_per_s=100, latency_s=0.01),
        Point(concurrency=2, tokens_per_s=200, latency_s=0.02),
    )
    svg = ElementTree.fromstring(draw_curve(Curve(title="t", measured=points, objective_s=0.02)))
    circles = [c for c in svg if c.tag.endswith("circle")]
    xs, ys = [float(c.get("cx")) for c in circles], [float(c.get("cy")) for c in circles]
    assert (xs[1] - 72) == pytest.approx(2 * (xs[0] - 72), rel=0.01)
    assert ys[1] < ys[0] < 308
    assert (308 - ys[1]) == pytest.approx(2 * (308 - ys[0]), rel=0.01)
