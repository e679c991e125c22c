"""Advice on a miss: held to what was measured, cheapest first, none where the planner is lost."""

from dataclasses import replace
from pathlib import Path

import pytest

from shardwright.bench.prediction import Predictor
from shardwright.bench.repair import repairs, too_far_off
from shardwright.bench.scenario import scenario_for
from shardwright.cli.resolve import resolve
from shardwright.model.measured import Distribution, Measured
from shardwright.planner.plan import make_plan
from shardwright.verify.verdict import judge

SPEC = Path(__file__).parents[3] / "examples" / "llama-3.1-70b.yaml"


@pytest.fixture(scope="module")
def deployed():
    found = resolve(SPEC)
    return Predictor(
        request=found.request, shape=found.shape, plan=make_plan(found.request, found.shape)
    )


def measured_at(predictor, factor):
    """What a deployment measures that is slower than predicted by a factor."""
    scenario = scenario_for(predictor.request.workload, predictor.request.slo)
    speed = predictor.speed_at(scenario)
    p = predictor.request.slo.percentile

    def one(value):
        return Distribution(count=500, mean=value, percentiles=((p, value),))

    measured = Measured(
        tool="t", tool_version=None, model=None, num_completed=500, num_failed=0, duration_s=60.0,
        output_tokens=1000, ttft=one(speed.ttft_percentile_s * factor),
        itl=one(speed.itl_percentile_s * factor),
    )  # fmt: skip
    return judge(measured, predictor.request.slo, predicted=speed)


def test_the_first_advice_meets_the_objective_by_the_planners_own_later_word(deployed):
    verdict = measured_at(deployed, 1.5)
    found = repairs(deployed.request, deployed.shape, deployed.plan, verdict)
    assert found
    assert found[0].meets
    assert found[0].itl_s <= deployed.request.slo.itl_s
    gpus = [r.extra_gpus for r in found if "send it" not in r.change]
    assert gpus == sorted(gpus)


def test_predicted_effects_are_scaled_by_what_was_measured(deployed):
    slow = repairs(deployed.request, deployed.shape, deployed.plan, measured_at(deployed, 1.3))
    slower = repairs(deployed.request, deployed.shape, deployed.plan, measured_at(deployed, 1.4))
    same = {r.field for r in slow} & {r.field for r in slower}
    assert same
    by_field = {r.field: r for r in slow}
    for repair in slower:
        if repair.field in same:
            ratio = repair.ttft_s / by_field[repair.field].ttft_s
            assert ratio == pytest.approx(1.4 / 1.3, rel=1e-6)


def test_no_advice_where_nothing_is_missed_or_the_prediction_is_of_something_else(deployed):
    fine = measured_at(deployed, 1.0)
    assert repairs(deployed.request, deployed.shape, deployed.plan, fine) == ()
    lost = measured_at(deployed, 40.0)
    assert "40 times the prediction" in too_far_off(lost)
    assert repairs(deployed.request, deployed.shape, deployed.plan, lost) == ()
    bare = replace(deployed.plan, speed=None)
    assert repairs(deployed.request, deployed.shape, bare, measured_at(deployed, 1.5)) == ()
