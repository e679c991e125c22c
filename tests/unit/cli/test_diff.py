"""`diff` says what `deploy` would do, also of an endpoint whose second group serves."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from shardwright.cli.main import shardwright
from shardwright.cli.render import launch_plan
from shardwright.deploy.inventory import Inventory, references, to_object
from shardwright.deploy.slot_objects import slot_objects
from shardwright.deploy.slots import Slot
from shardwright.drive import kube
from shardwright.drive.kube_memory import MemoryCluster

SPEC = Path(__file__).parents[3] / "examples" / "llama-3.1-405b.yaml"


@pytest.mark.parametrize("case", ["pending", "record-lost"])
def test_the_group_that_deploy_would_go_on_with_is_compared(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = launch_plan(SPEC)
    own, green = (slot_objects(plan, slot) for slot in (Slot.OWN, Slot.GREEN))
    cluster = MemoryCluster()
    for each in green:
        cluster.apply(each)
    if case == "pending":  # the first group serves, and the second is there already
        record = Inventory(
            name=plan.name, namespace=plan.namespace, revision=1, owned=references((*own, *green))
        )
        cluster.apply(to_object(replace(record, pending=True, next_slot=Slot.GREEN.value)))
    monkeypatch.setattr(kube, "connect", lambda *_: nullcontext(cluster))
    done = CliRunner().invoke(shardwright, ["diff", str(SPEC)], standalone_mode=False)
    assert done.exception is None
    told = done.output.splitlines()
    assert all(line.startswith("remove ") and "-green" not in line for line in told)
    assert bool(told) == (case == "pending")
