"""Objects linted per second: parsed ones, and files with positions. Run by `make bench`.

The mix is the good manifests of tests/golden/lint/good, each copied into namespaces of its own:
half of the objects run engines behind shells, the rest are Services, claims and policies. Prints
the rates and writes them to docs/benchmarks.md.
"""

import gc
import sys
from pathlib import Path

from yardstick import Target, report

from shardwright.lint.objects import SourceFile, load
from shardwright.lint.run import lint_objects

GOOD = Path(__file__).parents[1] / "tests" / "golden" / "lint" / "good"
COPIES = 40
TARGET_PARSED_PER_S = 10_000
TARGET_FILES_PER_S = 1_500
ABOUT = (
    f"Every rule over the good manifests of tests/golden/lint, each in {COPIES} namespaces: as\n"
    "parsed objects, and from the text of files with the line of every field. Best of 5 rounds."
)


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


def main() -> int:
    """Measure, print, and fail when a target is missed."""
    gc.disable()
    sources = copies()
    objects = load(sources).objects
    return report(
        "Lint",
        ABOUT,
        (
            Target(
                name="parsed objects linted",
                per_s=TARGET_PARSED_PER_S,
                count=len(objects),
                work=lambda: lint_objects(objects),
            ),
            Target(
                name="objects in files linted",
                per_s=TARGET_FILES_PER_S,
                count=len(objects),
                work=lambda: lint_objects(load(sources).objects),
            ),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
