"""Specs rendered per second, from the text of a spec to that of its manifests; `make bench`.

The specs are all golden cases of tests/golden/render: every engine on every mechanism. Two rates:
of the whole way, the choice of a layout included, and of render alone, from a launch plan to text.
Prints the rates and writes them to docs/benchmarks.md.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from yardstick import Target, report

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.model.launch import LaunchPlan
from shardwright.planner.plan import make_plan
from shardwright.render.emit import emit
from shardwright.render.objects import explained_objects
from shardwright.spec.load import load

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "render"
TARGET_PER_S = 100
ABOUT = (
    "Every golden case of tests/golden/render, each engine on each mechanism: from the text of\n"
    "the spec to that of its manifests, the choice of a layout included; and from launch plans to\n"
    "the manifests alone. Best of 5 rounds."
)


def launched(text: str) -> LaunchPlan:
    """Resolve one spec."""
    request = load(text, "spec.yaml").request
    model = shape.load(request.model.id)
    return build_launch_plan(request, model, make_plan(request, model))


def main() -> int:
    """Measure, print, and fail when the target is missed."""
    gc.disable()
    texts = [path.read_text(encoding="utf-8") for path in sorted(GOLDEN.glob("*/request.yaml"))]
    plans = [launched(text) for text in texts]
    return report(
        "Render",
        ABOUT,
        (
            Target(
                name="specs rendered, from spec to manifests",
                per_s=TARGET_PER_S,
                count=len(texts),
                work=lambda: [emit(explained_objects(launched(text))) for text in texts],
            ),
            Target(
                name="launch plans rendered",
                per_s=TARGET_PER_S,
                count=len(plans),
                work=lambda: [emit(explained_objects(plan)) for plan in plans],
            ),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
