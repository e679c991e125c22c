"""What render writes has no error of lint's."""

from pathlib import Path

import pytest

from shardwright.lint.objects import SourceFile, load
from shardwright.lint.run import lint
from shardwright.model.finding import Severity

RENDERED = Path(__file__).parents[2] / "golden" / "render"
FOLDERS = sorted(path for path in RENDERED.glob("*/expected") if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.parent.name)
def test_rendered_objects_have_no_errors(folder):
    files = [path for path in sorted(folder.glob("*.yaml")) if path.stem != "kustomization"]
    loaded = load(tuple(SourceFile(name=path.name, text=path.read_text()) for path in files))
    assert loaded.objects
    errors = {f.code for f in lint(loaded) if f.severity is Severity.ERROR}
    # Ray cells need an image with Ray, which preflight checks in the cluster
    assert errors <= {"ray-missing-in-image"}
