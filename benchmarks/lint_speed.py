"""Objects linted per second: parsed ones, and files with positions. Run by `make bench`.

The mix is the good manifests of tests/golden/lint/good, each copied into namespaces of its own:
half of the objects run engines behind shells, the rest are Services, claims and policies. Prints
wall and CPU time of the best of five runs; the CPU figure is the one to compare on a busy machine.
"""

import gc
import sys
import time
from pathlib import Path

from shardwright.lint.objects import SourceFile, load
from shardwright.lint.run import lint_objects

GOOD = Path(__file__).parents[1] / "tests" / "golden" / "lint" / "good"
COPIES = 40
TARGET_PARSED_PER_S = 10_000
TARGET_FILES_PER_S = 1_500


def copies() -> tuple[SourceFile, ...]:
    """Make the files: every manifest in COPIES namespaces."""
    sources = []
    for number in range(COPIES):
        for path in sorted(GOOD.glob("*.yaml")):
            text = path.read_text(encoding="utf-8").replace("  namespace: llm\n", "")
            text = text.replace("metadata:\n  name:", f"metadata:\n  namespace: n{number}\n  name:")
            text = text.replace("metadata: {name:", f"metadata: {{namespace: n{number}, name:")
            sources.append(SourceFile(name=f"{number}/{path.name}", text=text))
    return tuple(sources)


def best_of_five(work) -> tuple[float, float]:
    """Return the least wall and CPU seconds of a piece of work."""
    walls, cpus = [], []
    for _ in range(5):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def main() -> int:
    """Measure, print, and fail when CPU time misses a target."""
    gc.disable()
    sources = copies()
    objects = load(sources).objects
    num, missed = len(objects), False
    for name, target, work in (
        ("parsed objects", TARGET_PARSED_PER_S, lambda: lint_objects(objects)),
        ("objects in files", TARGET_FILES_PER_S, lambda: lint_objects(load(sources).objects)),
    ):
        wall, cpu = best_of_five(work)
        missed |= num / cpu < target
        print(f"{name}: {num / wall:,.0f}/s wall, {num / cpu:,.0f}/s CPU, target {target:,}/s")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
