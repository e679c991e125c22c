"""The widely copied recipe: every real fault is named, where it stands."""

from pathlib import Path

from shardwright.lint.objects import SourceFile, load
from shardwright.lint.run import lint

ROOT = Path(__file__).parents[3]


def test_recipe():
    files = sorted((ROOT / "examples" / "recipe").glob("*.yaml"))
    sources = tuple(SourceFile(name=path.name, text=path.read_text()) for path in files)
    found = [f"{f.file}:{f.line}: {f.severity.value}: {f.code}" for f in lint(load(sources))]
    expected = (ROOT / "tests" / "golden" / "lint" / "recipe.txt").read_text().splitlines()
    assert found == expected
