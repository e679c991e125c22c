"""Golden folders: a spec and the manifests it must render to, each checked by strict schemas.

A new case is a new folder tests/golden/render/<case>/request.yaml; --update-golden fills expected/.
"""

from pathlib import Path

import pytest
import yaml

from shardwright import shape
from shardwright.launch.build import build_launch_plan
from shardwright.lint.objects import SourceFile
from shardwright.lint.objects import load as load_objects
from shardwright.lint.run import lint
from shardwright.planner.plan import make_plan
from shardwright.render.folder import manifest_folder
from shardwright.render.objects import explained_objects
from shardwright.spec.load import load

from .schemas import NEWEST, OLDEST, check

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "render"
CASES = {
    **{path.parent.name: path for path in GOLDEN.glob("*/request.yaml")},
    **{f"example-{path.stem}": path for path in (ROOT / "examples").glob("*.yaml")},
}
# warnings our own manifests may draw, with the reason they are right all the same
ACCEPTED = {
    # rdma.memlock: runtime (the default) leaves the limit to the node's container runtime
    "rdma-without-memlock",
    # SGLang's followers answer on no port; the watch beside them is their liveness
    "probes-missing",
}


# cells that only newer Kubernetes takes, and the first that does
SINCE = {"vllm-weights-image": "1.35"}


def expected_folder(case):
    path = CASES[case]
    return (
        path.parent / "rendered" / path.stem if path.stem != "request" else path.parent / "expected"
    )


def rendered(case):
    source = CASES[case]
    request = load(source.read_text(), str(source)).request
    model = shape.load(request.model.id)
    launch = build_launch_plan(request, model, make_plan(request, model))
    return manifest_folder(explained_objects(launch), explain=True)


@pytest.mark.parametrize("case", sorted(CASES))
def test_manifests_are_those_expected(case, update_golden):
    folder = expected_folder(case)
    files = rendered(case)
    if update_golden:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text)
    expected = {path.name: path.read_text() for path in folder.iterdir()}
    assert sorted(files) == sorted(expected)
    for name in files:
        assert files[name] == expected[name]


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_manifests_pass_the_strict_schemas(case, version):
    version = max(version, SINCE.get(case, OLDEST))
    for path in expected_folder(case).iterdir():
        for each in yaml.safe_load_all(path.read_text()):
            check(each, version)


@pytest.mark.parametrize("case", sorted(CASES))
def test_manifests_pass_our_own_lint(case):
    files = [
        SourceFile(name=path.name, text=path.read_text())
        for path in expected_folder(case).iterdir()
    ]
    findings = lint(load_objects(tuple(files)))
    assert [(f.object, f.what) for f in findings if f.code not in ACCEPTED] == []
