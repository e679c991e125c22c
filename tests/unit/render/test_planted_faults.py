"""What the planted faults of tests/cluster change is still in the manifests they change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.cluster.planting import FOREIGN, Fault, Field, edited, read_faults

from shardwright.cli.render import launch_plan
from shardwright.drive.kube_memory import MemoryCluster

FAULTS = [each for each in read_faults() if each.manifests]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_finds_what_it_changes(fault: Fault, tmp_path: Path) -> None:
    if fault.foreign is not None:
        text = (FOREIGN / f"{fault.foreign}.yaml").read_text(encoding="utf-8")
        assert edited(text, fault.manifests) != text
        return
    field = Field(cluster=MemoryCluster(), namespace="serving", folder=tmp_path)
    plan = launch_plan(field.spec(fault))
    clean = field.manifests(replace(fault, manifests=()), plan)
    assert field.manifests(fault, plan) != clean
