"""What the engine keeps of its start lies on the claim, in the folder of its version and layout.

The CPU engine compiles nothing, so what is there is what it has learnt about the model; that a
start reads compiled graphs again is not shown here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.real_group import standing

pytestmark = pytest.mark.long


def test_members_keep_what_they_learnt_in_one_folder_of_the_claim(
    engine_bed: Path, tmp_path: Path
) -> None:
    storage = "{compileCache: true}"
    with standing("compiled", "lws", engine_bed, tmp_path, storage) as (group, _):
        (mount,) = [m for m in group.plan.group.members[0].mounts if m.sub_path]
        leader, worker = group.member(0), group.member(1)
        kept = group.inside(leader, "cd /compile-cache && find . -type f | sort")
        assert "modelinfos" in kept
        assert group.inside(worker, "cd /compile-cache && find . -type f | sort") == kept
        on_claim = f"cd /models/{mount.sub_path} && find . -type f | sort"
        assert group.inside(leader, on_claim) == kept
