"""Two sets of names for one endpoint: what each has of its own, and what both share."""

from dataclasses import replace
from pathlib import Path

import pytest

from shardwright.cli.render import launch_plan
from shardwright.deploy.slot_objects import slot_objects
from shardwright.deploy.slots import Slot
from shardwright.model.launch import Route

SPEC = Path(__file__).parents[3] / "examples" / "llama-3.1-70b.yaml"


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        (Route(host="llm.example.org"), "Ingress"),
        (Route(host="llm.example.org", gateway=("infra", "public")), "HTTPRoute"),
    ],
)
def test_one_route_leads_to_the_service_that_moves(route, kind):
    plan = launch_plan(SPEC)
    routed = replace(plan, endpoints=(replace(plan.endpoints[0], route=route),))
    own, green = (
        [each for each in slot_objects(routed, slot) if each["kind"] == kind] for slot in Slot
    )
    assert len(own) == 1
    assert green == own
    assert plan.name in str(own[0]["spec"])
