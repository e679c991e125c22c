"""What the engine compiled lies on the claim, and the next start reads it instead of compiling."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.real_group import standing

from shardwright.cli.cluster_drill import Group, member_killed
from shardwright.model.cluster import reference
from shardwright.rehearse.cluster_drill import Aftermath

pytestmark = pytest.mark.long
READ_AGAIN = "Directly load"
"""vLLM 0.32 (compilation/decorators.py, compilation/backends.py), of graphs it did not compile."""


def logs(group: Group) -> list[str]:
    pods = [group.member(index) for index in range(len(group.plan.group.members))]
    return [group.cluster.logs(reference(pod), "vllm", tail_lines=5000) for pod in pods]


def test_a_group_that_starts_again_compiles_nothing(engine_bed: Path, tmp_path: Path) -> None:
    storage = "{compileCache: true}"
    with standing("compiled", "lws", engine_bed, tmp_path, storage) as (group, _):
        assert [READ_AGAIN in each for each in logs(group)] == [False, False]
        kept = group.inside(group.member(0), "find /compile-cache -type f").split()
        assert any("rank_0" in each for each in kept), kept
        assert any("rank_1" in each for each in kept), kept  # of the other pod: one folder for all
        (mount,) = [m for m in group.plan.group.members[0].mounts if m.sub_path]
        on_claim = group.inside(group.member(0), f"find /models/{mount.sub_path} -type f").split()
        assert len(on_claim) >= len(kept)
        *_, after = group.drill().suffer(member_killed(group, 1))
        assert isinstance(after, Aftermath)
        assert after.recovered_s is not None
        assert [READ_AGAIN in each for each in logs(group)] == [True, True]
