"""Golden folders: a spec and the manifests it must render to, each checked by strict schemas.

A new case is a new folder tests/golden/render/<case>/request.yaml; --update-golden fills expected/.
"""

from pathlib import Path

import pytest
import yaml

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.plan.plan import make_plan
from shardwright.render.folder import manifest_folder
from shardwright.render.objects import explained_objects
from shardwright.spec.load import load

from .schemas import NEWEST, OLDEST, check

GOLDEN = Path(__file__).parents[2] / "golden" / "render"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/request.yaml"))


def rendered(case):
    source = GOLDEN / case / "request.yaml"
    request = load(source.read_text(), str(source)).request
    model = shape.load(request.model.id)
    launch = build_launch_plan(request, model, make_plan(request, model))
    return manifest_folder(explained_objects(launch), explain=True)


@pytest.mark.parametrize("case", CASES)
def test_manifests_are_those_expected(case, update_golden):
    folder = GOLDEN / case / "expected"
    files = rendered(case)
    if update_golden:
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text)
    expected = {path.name: path.read_text() for path in folder.iterdir()}
    assert sorted(files) == sorted(expected)
    for name in files:
        assert files[name] == expected[name]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_manifests_pass_the_strict_schemas(case, version):
    for path in (GOLDEN / case / "expected").iterdir():
        for each in yaml.safe_load_all(path.read_text()):
            check(each, version)
