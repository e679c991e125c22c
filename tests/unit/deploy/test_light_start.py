"""`list` and `status` read the cluster alone: no spec reader and no renderer is loaded for them."""

from __future__ import annotations

import subprocess
import sys


def test_status_loads_no_spec_reader_and_no_renderer() -> None:
    program = "import sys, shardwright.deploy.status; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "shardwright.deploy.status" in loaded
    assert {"pydantic", "numpy", "yaml", "shardwright.render.objects"} & loaded == set()
